/** The clock of a file log. */
import { SteadyClock, type ClockStep, type TimeSource } from '../steady-clock.js'
import type { Tables } from './tables.js'

/** The clock of a log goes on where it stopped. */
export function openClock({ meta, events }: Tables, source: TimeSource): SteadyClock {
  const [newest] = events.keys({ reverse: true, limit: 1 })
  const event = newest === undefined ? undefined : events.view(newest)
  return new SteadyClock(
    source,
    meta.get('clock') as ClockStep[] | undefined,
    event && { sequence: event.sequence, time: event.time },
  )
}
