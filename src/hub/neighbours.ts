/**
 * The other processes that serve the same log. The hub sends them ephemeral events, which are not in the log, and asks
 * them for the subjects that are present by their streams.
 */
import type { Cluster, ClusterMessage } from '../cluster/cluster.js'
import type { NewEvent } from '../model/event.js'
import { mergePresent, type Present } from './presence.js'

/** The services of this process for the others. */
export interface NeighbourhoodSource {
  /** Sends an ephemeral event of another process to the streams of this one. */
  dispatch: (event: NewEvent) => void
  /** Returns the subjects that are present on a topic by their streams of this process. */
  present: (topic: string) => Present[]
}

interface EphemeralMessage extends ClusterMessage {
  kind: 'ephemeral'
  event: NewEvent
}

interface PresentMessage extends ClusterMessage {
  kind: 'present'
  topic: string
}

type HubMessage = EphemeralMessage | PresentMessage

export class Neighbours {
  readonly #cluster: Cluster
  readonly #source: NeighbourhoodSource

  constructor(cluster: Cluster, source: NeighbourhoodSource) {
    this.#cluster = cluster
    this.#source = source
    cluster.receive({
      broadcast: (message) => this.#receive(message as HubMessage),
      request: (message) => this.#answer(message as HubMessage),
    })
  }

  /** Sends an ephemeral event to the streams of the other processes. */
  publish(event: NewEvent): void {
    this.#cluster.broadcast({ kind: 'ephemeral', event } satisfies EphemeralMessage)
  }

  /** Returns the subjects that are present on a topic by the streams of any process. */
  async present(topic: string): Promise<Present[]> {
    const own = this.#source.present(topic)
    const answers = await this.#cluster.survey({ kind: 'present', topic } satisfies PresentMessage)
    return answers.length === 0 ? own : mergePresent([own, ...answers.map(({ value }) => value as Present[])])
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }

  /** Ignores unknown messages: a newer version may send them. */
  #receive(message: HubMessage): void {
    if (message.kind === 'ephemeral') this.#source.dispatch(message.event)
  }

  #answer(message: HubMessage): unknown {
    if (message.kind === 'present') return this.#source.present(message.topic)
    throw new Error(`this node does not know how to answer ${message.kind}`)
  }
}
