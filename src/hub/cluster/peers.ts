/**
 * The other processes, and what each wants to hear. A process tells its state when it starts, when its state changes,
 * and every few seconds, since a broadcast may be lost.
 */
import type { ClusterMessage } from '../../cluster/cluster.js'
import { monotonicNow } from '../../model/clock.js'
import type { Messenger } from './messenger.js'
import type { NodeReport } from './node-reports.js'

/** The time between two broadcasts of the state, in milliseconds. */
const REPEAT = 2_000
/** After this time without a message, a node that the cluster never listed is dropped, in milliseconds. */
const UNLISTED = 30_000

/** The state of a node that the others have to know. */
export interface NodeState {
  /** Whether one of its streams has `fanfare.connections`. */
  watchesConnections: boolean
  /** Whether it follows the presence of all nodes. */
  watchesPresence: boolean
  /** The number of changes of its own presence so far. */
  presenceChanges: number
  /** Its report without its load, in case it does not answer later. */
  report: NodeReport
}

interface StateMessage extends ClusterMessage {
  kind: 'state' | 'hello'
  state: NodeState
}

interface Peer {
  state: NodeState
  /** When its state was last told, on the monotonic clock. */
  heard: number
  /** Whether the cluster has listed it. */
  isListed: boolean
}

export interface PeersListener {
  /** Returns the state of this node. */
  state: () => NodeState
  /** Another node has told its state. */
  told: (node: string, state: NodeState) => void
  /** Another node has ended or cannot be reached. */
  gone: (node: string) => void
}

export class Peers {
  readonly #messenger: Messenger
  readonly #listener: PeersListener
  readonly #peers = new Map<string, Peer>()
  /** Nodes that have gone. A late message does not bring one back; the list of the cluster does. */
  readonly #gone = new Set<string>()
  /** Nodes that have been asked for their state and have not answered yet. */
  readonly #greeted = new Set<string>()
  /** When the state is told again, on the monotonic clock. */
  #repeatAt = 0

  constructor(messenger: Messenger, listener: PeersListener) {
    this.#messenger = messenger
    this.#listener = listener
    messenger.onBroadcast<StateMessage>('state', ({ state }, from) => this.#told(from, state))
    messenger.onRequest<StateMessage>('hello', ({ state }, from) => {
      this.#told(from, state)
      return listener.state()
    })
  }

  /** Returns the known nodes. */
  names(): string[] {
    return [...this.#peers.keys()]
  }

  /** Whether any other node wants to hear of changes. */
  some(wants: 'watchesConnections' | 'watchesPresence'): boolean {
    for (const { state } of this.#peers.values()) if (state[wants]) return true
    return false
  }

  /** Tells all other nodes the state of this node, and asks for theirs. Resolves after a short time at the latest. */
  async greet(): Promise<void> {
    if (this.#messenger.isAlone) return
    const answers = await this.#messenger.gather(this.#message('hello'))
    for (const { node, value } of answers) this.#told(node, value as NodeState)
  }

  /** Tells the other nodes that the state of this node has changed. */
  changed(): void {
    this.#messenger.broadcast(this.#message('state'))
  }

  /**
   * Notices nodes that have come or gone, and repeats the state of this node. Call it a few times a second.
   * @param now on the monotonic clock
   */
  tick(now: number): void {
    if (this.#messenger.isAlone && this.#peers.size === 0) return
    const listed = new Set(this.#messenger.others())
    for (const [node, peer] of this.#peers) {
      if (listed.has(node)) peer.isListed = true
      else if (peer.isListed || now - peer.heard > UNLISTED) this.#drop(node)
    }
    for (const node of listed) {
      this.#gone.delete(node)
      if (!this.#peers.has(node) && !this.#greeted.has(node)) void this.#greetOne(node)
    }
    if (now < this.#repeatAt) return
    this.#repeatAt = now + REPEAT
    this.changed()
  }

  async #greetOne(node: string): Promise<void> {
    this.#greeted.add(node)
    const answer = await this.#messenger.request(node, this.#message('hello')).catch(() => undefined)
    this.#greeted.delete(node)
    if (answer !== undefined) this.#told(node, answer as NodeState)
  }

  #message(kind: StateMessage['kind']): StateMessage {
    return { kind, state: this.#listener.state() }
  }

  #told(node: string, state: NodeState): void {
    if (this.#gone.has(node)) return
    const isListed = this.#peers.get(node)?.isListed ?? this.#messenger.nodes().includes(node)
    this.#peers.set(node, { state, heard: monotonicNow(), isListed })
    this.#listener.told(node, state)
  }

  #drop(node: string): void {
    this.#peers.delete(node)
    this.#gone.add(node)
    this.#listener.gone(node)
  }
}
