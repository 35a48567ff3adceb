/** The parts of the hub that work with the other processes. */
import type { EventLog } from '../../log/log.js'
import { wallNow } from '../../model/clock.js'
import type { Connections } from '../connections.js'
import type { Fanout } from '../fanout.js'
import type { HubFigures } from '../figures.js'
import { residentMemory } from '../resident-memory.js'
import type { StreamInfo } from '../stream-info.js'
import type { Stream } from '../stream.js'
import { SystemTopics } from '../system-topics.js'
import { AllConnections } from './all-connections.js'
import { AllHistory } from './all-history.js'
import { ClusterPresence } from './cluster-presence.js'
import type { Messenger } from './messenger.js'
import { NodeReports, type NodeLoad } from './node-reports.js'
import { Peers } from './peers.js'

export interface NeighboursSource {
  figures: HubFigures
  messenger: Messenger
  log: EventLog
  fanout: Fanout
  /** The open streams of this process. */
  connections: Connections
  describe: (stream: Stream) => StreamInfo
  /** Returns the number of events that this process has accepted from publishers. */
  published: () => number
}

export interface NeighboursOptions {
  /** The version of this process. */
  version: string
  /** How long a subject stays present after its last stream has ended, in milliseconds. */
  presenceGrace: number
}

export class Neighbours {
  readonly presence: ClusterPresence
  readonly systemTopics: SystemTopics
  readonly reports: NodeReports
  readonly connections: AllConnections
  readonly history: AllHistory
  readonly #messenger: Messenger
  readonly #peers: Peers

  constructor(source: NeighboursSource, { version, presenceGrace }: NeighboursOptions) {
    const { messenger, fanout, connections } = source
    this.#messenger = messenger
    const peers = (this.#peers = this.#createPeers())
    const since = wallNow()
    const reports = (this.reports = new NodeReports(messenger, (withLoad) => ({
      node: messenger.node,
      version,
      since,
      connections: connections.size,
      epoch: source.log.view.epoch,
      head: fanout.head,
      load: withLoad ? this.#load(source) : undefined,
    })))
    this.systemTopics = new SystemTopics({ ...source, peers, reports })
    this.history = new AllHistory(messenger, this.systemTopics.history)
    this.connections = new AllConnections(messenger, connections, {
      describe: source.describe,
      lag: (stream) => stream.lag(fanout.head),
    })
    this.presence = new ClusterPresence({
      messenger,
      grace: presenceGrace,
      announce: (type, change) => fanout.tell(change.topic, change, type),
      isWatched: () => fanout.isPresenceWatched,
      isFollowed: () => peers.some('watchesPresence'),
      greet: () => peers.greet(),
    })
  }

  #createPeers(): Peers {
    return new Peers(this.#messenger, {
      state: () => ({
        watchesConnections: this.systemTopics.watchesConnections,
        watchesPresence: this.presence.isFollowing,
        presenceChanges: this.presence.sentChanges(),
        report: this.reports.own(),
      }),
      told: (node, { presenceChanges, report }) => {
        this.reports.told(report)
        void this.presence.told(node, presenceChanges)
      },
      gone: (node) => {
        this.reports.gone(node)
        this.presence.gone(node)
      },
    })
  }

  /** Starts to receive messages of the other processes, and greets them. */
  start(): void {
    this.#messenger.start()
    void this.#peers.greet()
  }

  /** As `Peers.tick`. */
  tick(now: number): void {
    this.#peers.tick(now)
  }

  #load({ fanout, connections, published }: NeighboursSource): NodeLoad {
    return {
      time: wallNow(),
      topics: fanout.topics,
      lagging: connections.lagging,
      published: published(),
      sent: this.systemTopics.sent(),
      memory: residentMemory(),
      stats: this.systemTopics.takeStats(),
    }
  }
}
