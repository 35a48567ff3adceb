/** The system topics: `fanfare.stats` every second, and `fanfare.connections` when a stream opens, changes or ends. */
import type { EventLog } from '../log/log.js'
import { monotonicNow } from '../model/clock.js'
import type { Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import type { Fanout } from './fanout.js'
import { STATS_TOPIC, StatsMeter } from './stats.js'
import { CONNECTIONS_TOPIC, type ConnectionChange, type StreamInfo } from './stream-info.js'
import type { Stream } from './stream.js'

/** The names of all system topics. */
export const SYSTEM_TOPICS = [STATS_TOPIC, CONNECTIONS_TOPIC]

/** The parts of the hub that system topics work with. */
export interface SystemTopicsSource {
  connections: Connections
  fanout: Fanout
  log: EventLog
  describe: (stream: Stream) => StreamInfo
}

export class SystemTopics {
  readonly #source: SystemTopicsSource
  readonly #stats: StatsMeter

  constructor(source: SystemTopicsSource) {
    const { connections, fanout, log } = source
    this.#source = source
    this.#stats = new StatsMeter({
      connections,
      log: () => log.view.stats(),
      measure: (latency) => (fanout.latency = latency),
      tell: (stats) => fanout.tell(STATS_TOPIC, stats),
    })
  }

  /** Returns the monotonic time while latencies are measured, and `undefined` otherwise. */
  clock(): number | undefined {
    return this.#stats.isMeasuring ? monotonicNow() : undefined
  }

  /** Counts a published event. */
  published(event: NewEvent): void {
    if (this.#stats.isMeasuring) this.#stats.published(event)
  }

  /** Reports a change of a stream. */
  changed(stream: Stream, change: ConnectionChange['change'], reason?: ConnectionChange['reason']): void {
    const { fanout, describe } = this.#source
    if (change === 'closed') this.#stats.ended(stream)
    this.#stats.listen(fanout.isWatched(STATS_TOPIC)) // this stream may have `fanfare.stats`
    if (!fanout.isWatched(CONNECTIONS_TOPIC)) return
    fanout.tell(CONNECTIONS_TOPIC, { change, reason, ...describe(stream) } satisfies ConnectionChange)
  }

  stop(): void {
    this.#stats.stop()
  }
}
