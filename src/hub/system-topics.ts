/** The system topics: `fanfare.stats` every second, and `fanfare.connections` when a stream opens, changes or ends. */
import type { EventLog } from '../log/log.js'
import { monotonicNow, wallNow } from '../model/clock.js'
import { shapeOf } from '../model/shape.js'
import type { ClusterMessage } from '../cluster/cluster.js'
import { addStats } from './cluster/add-stats.js'
import type { Messenger } from './cluster/messenger.js'
import type { NodeReports } from './cluster/node-reports.js'
import type { Peers } from './cluster/peers.js'
import type { Connection, Connections } from './connections.js'
import type { NewEvent } from '../model/event.js'
import type { Fanout } from './fanout.js'
import type { HubFigures } from './figures.js'
import type { Timing } from './latency.js'
import { STATS_TOPIC, StatsMeter, type Sent, type Stats } from './stats.js'
import { CONNECTIONS_TOPIC, isConnectionChange, type ConnectionChange, type StreamInfo } from './stream-info.js'
import type { StatsHistory } from './stats-history.js'
import { TopicActivity } from './topic-activity.js'

/** The names of all system topics. */
export const SYSTEM_TOPICS = [STATS_TOPIC, CONNECTIONS_TOPIC]

/** How long statistics are measured after a process has asked for them, in milliseconds. */
const ASKED_TIME = 5_000

/** A change of a stream, for the observers at another process. */
interface ChangeMessage extends ClusterMessage {
  kind: 'connection-change'
  change: ConnectionChange
}

/** The parts of the hub that system topics work with. */
export interface SystemTopicsSource {
  figures: HubFigures
  connections: Connections
  fanout: Fanout
  log: EventLog
  describe: (stream: Connection) => StreamInfo
  messenger: Messenger
  peers: Peers
  reports: NodeReports
}

export class SystemTopics {
  /** The latest events of each topic. */
  readonly activity = new TopicActivity()
  readonly #source: SystemTopicsSource
  readonly #stats: StatsMeter
  /** The statistics of the last second. */
  #latest: Stats | undefined
  /** Until when a process wants statistics, on the monotonic clock. */
  #askedUntil = 0
  #watchesConnections = false

  constructor(source: SystemTopicsSource) {
    const { figures, connections, fanout, log, messenger } = source
    this.#source = source
    this.#stats = new StatsMeter({
      figures,
      connections,
      log: () => log.view.stats(),
      measure: (latency) => (fanout.latency = latency),
      tell: (stats) => this.#measured(stats),
    })
    messenger.onBroadcast<ChangeMessage>('connection-change', shapeOf({ change: isConnectionChange }), ({ change }) => {
      if (this.#watchesConnections) fanout.tell(CONNECTIONS_TOPIC, change)
    })
  }

  /** As in `NodeState`. */
  get watchesConnections(): boolean {
    return this.#watchesConnections
  }

  /** The statistics of the last hour of this process. */
  get history(): StatsHistory {
    return this.#stats.history
  }

  /** As `StatsMeter.time`. */
  time(): Timing | undefined {
    return this.#stats.time()
  }

  /**
   * Counts a published event.
   * @param time when it was published, on the wall clock
   */
  published(event: NewEvent, time = wallNow()): void {
    this.#stats.published(event)
    this.activity.count(event.topic, time)
  }

  /** Reports a change of a stream. */
  changed(stream: Connection, change: ConnectionChange['change'], reason?: ConnectionChange['reason']): void {
    const { fanout, describe, messenger, peers } = this.#source
    this.#listen() // this stream may have `fanfare.stats`
    this.#watch(fanout.isWatched(CONNECTIONS_TOPIC))
    const isFollowed = peers.some('watchesConnections')
    if (!isFollowed && !this.#watchesConnections) return
    const told: ConnectionChange = { change, reason, ...describe(stream) }
    if (this.#watchesConnections) fanout.tell(CONNECTIONS_TOPIC, told)
    if (isFollowed) messenger.broadcast({ kind: 'connection-change', change: told } satisfies ChangeMessage)
  }

  /** As `StatsMeter.sent`. */
  sent(): Sent {
    return this.#stats.sent()
  }

  /** Returns the statistics of the last second if they are measured, and keeps measuring for a few seconds. */
  takeStats(): Stats | undefined {
    this.#askedUntil = monotonicNow() + ASKED_TIME
    this.#listen()
    return this.#latest
  }

  stop(): void {
    this.#stats.stop()
  }

  /** Measures each second while a stream of this process or another process wants the statistics. */
  #listen(): void {
    const isWanted = this.#source.fanout.isWatched(STATS_TOPIC) || monotonicNow() < this.#askedUntil
    if (!isWanted) this.#latest = undefined
    this.#stats.listen(isWanted)
  }

  /** Tells the other processes whether this one wants the changes of their streams. */
  #watch(isWatched: boolean): void {
    if (isWatched === this.#watchesConnections) return
    this.#watchesConnections = isWatched
    this.#source.peers.changed()
  }

  /** Publishes the statistics of all processes. */
  #measured(stats: Stats): void {
    const { fanout, messenger, reports } = this.#source
    this.#latest = stats
    this.#listen()
    if (!fanout.isWatched(STATS_TOPIC)) return
    if (messenger.isAlone) return fanout.tell(STATS_TOPIC, stats)
    void reports.others(true).then((others) => fanout.tell(STATS_TOPIC, addStats(stats, others)))
  }
}
