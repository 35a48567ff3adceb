/** The clock of an LMDB log. */
import { SteadyClock, type ClockStep, type TimeSource } from '../steady-clock.js'
import type { Tables } from './tables.js'

/** Opens the clock of a log, which continues at the time of its newest event. */
export function openClock({ meta, events }: Tables, source: TimeSource): SteadyClock {
  const [newest] = events.keys({ reverse: true, limit: 1 })
  const event = newest === undefined ? undefined : events.view(newest)
  return new SteadyClock(
    source,
    meta.get('clock') as ClockStep[] | undefined,
    event && { sequence: event.sequence, time: event.time },
  )
}
