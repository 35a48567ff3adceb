/**
 * The hub's own topics: `fanfare.stats` every second, and `fanfare.connections` with each stream that opens, changes or
 * ends.
 */
import type { EventLog } from '../log/log.js'
import { monotonicNow } from '../model/clock.js'
import type { Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import type { Dispatcher } from './dispatcher.js'
import type { Fanout } from './fanout.js'
import { STATS_TOPIC, StatsMeter } from './stats.js'
import { CONNECTIONS_TOPIC, type ConnectionChange, type StreamInfo } from './stream-info.js'
import type { Stream } from './stream.js'

/** All of them. */
export const SYSTEM_TOPICS = [STATS_TOPIC, CONNECTIONS_TOPIC]

/** What is told of, and by what. */
export interface SystemTopicsSource {
  connections: Connections
  fanout: Fanout
  log: EventLog
  dispatcher: Dispatcher
  describe: (stream: Stream) => StreamInfo
}

export class SystemTopics {
  readonly #source: SystemTopicsSource
  readonly #stats: StatsMeter

  constructor(source: SystemTopicsSource) {
    const { connections, fanout, log, dispatcher } = source
    this.#source = source
    this.#stats = new StatsMeter({
      connections,
      log: () => log.view.stats(),
      measure: (latency) => (fanout.latency = latency),
      tell: (stats) => dispatcher.tell(STATS_TOPIC, stats),
    })
  }

  /** When an event that is published now came in, on the monotonic clock, while that is measured. */
  clock(): number | undefined {
    return this.#stats.isMeasuring ? monotonicNow() : undefined
  }

  /** An event was published. */
  published(event: NewEvent): void {
    if (this.#stats.isMeasuring) this.#stats.published(event)
  }

  /** A stream has come, has other topics or another token, or has gone. */
  changed(stream: Stream, change: ConnectionChange['change'], reason?: ConnectionChange['reason']): void {
    const { fanout, dispatcher, describe } = this.#source
    if (change === 'closed') this.#stats.ended(stream)
    this.#stats.listen(fanout.isWatched(STATS_TOPIC)) // it may be the one that listens
    if (!fanout.isWatched(CONNECTIONS_TOPIC)) return
    dispatcher.tell(CONNECTIONS_TOPIC, { change, reason, ...describe(stream) } satisfies ConnectionChange)
  }

  stop(): void {
    this.#stats.stop()
  }
}
