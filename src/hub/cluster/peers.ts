/**
 * The other processes, and which broadcasts each one needs. A process broadcasts its state when it starts, when its
 * state changes, and every few seconds, since a broadcast may be lost.
 */
import type { ClusterMessage } from '../../cluster/cluster.js'
import { monotonicNow } from '../../model/clock.js'
import type { Messenger } from './messenger.js'
import { isBoolean, isNumber, shapeOf } from '../../model/shape.js'
import { isReport, type NodeReport } from './node-reports.js'

/** The time between two broadcasts of the state, in milliseconds. */
const REPEAT = 2_000
/** After this time without a message, a node that the cluster never listed is dropped, in milliseconds. */
const UNLISTED = 30_000

/** The state of a node that the others have to know. */
export interface NodeState {
  /** Whether a stream of the node has `fanfare.connections`. */
  watchesConnections: boolean
  /** Whether the node follows the presence of all nodes. */
  watchesPresence: boolean
  /** The number of changes of the node's own presence so far. */
  presenceChanges: number
  /** Its report without its load, in case it does not answer later. */
  report: NodeReport
}

const isState = shapeOf<NodeState>({
  watchesConnections: isBoolean,
  watchesPresence: isBoolean,
  presenceChanges: isNumber,
  report: isReport,
})

interface StateMessage extends ClusterMessage {
  kind: 'state' | 'hello'
  state: NodeState
}

interface Peer {
  state: NodeState
  /** When the last state of the node arrived, on the monotonic clock. */
  heard: number
  /** Whether the cluster has listed the node. */
  isListed: boolean
}

export interface PeersListener {
  /** Returns the state of this node. */
  state: () => NodeState
  /** Called with each state of another node. */
  told: (node: string, state: NodeState) => void
  /** Called when another node has ended or cannot be reached. */
  gone: (node: string) => void
}

export class Peers {
  readonly #messenger: Messenger
  readonly #listener: PeersListener
  readonly #peers = new Map<string, Peer>()
  /** Nodes that have gone. A late message does not bring one back; the list of the cluster does. */
  readonly #gone = new Set<string>()
  /** Nodes to which a `hello` was sent, without an answer yet. */
  readonly #greeted = new Set<string>()
  /** When the state is broadcast again, on the monotonic clock. */
  #repeatAt = 0

  constructor(messenger: Messenger, listener: PeersListener) {
    this.#messenger = messenger
    this.#listener = listener
    const isBody = shapeOf({ state: isState })
    messenger.onBroadcast<StateMessage>('state', isBody, ({ state }, from) => this.#told(from, state))
    messenger.onRequest<StateMessage>('hello', isBody, ({ state }, from) => {
      this.#told(from, state)
      return listener.state()
    })
  }

  /** Returns the known nodes. */
  names(): string[] {
    return [...this.#peers.keys()]
  }

  /** Whether any other node watches connections, or presence. */
  some(flag: 'watchesConnections' | 'watchesPresence'): boolean {
    for (const { state } of this.#peers.values()) if (state[flag]) return true
    return false
  }

  /** Sends the state of this node to all other nodes, and takes theirs. Resolves after a short time at the latest. */
  async greet(): Promise<void> {
    if (this.#messenger.isAlone) return
    const answers = await this.#messenger.gather(this.#message('hello'), isState)
    for (const { node, value } of answers) this.#told(node, value)
  }

  /** Broadcasts the state of this node. Call it when the state has changed. */
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
    const answer = await this.#messenger.request(node, this.#message('hello'), isState).catch(() => undefined)
    this.#greeted.delete(node)
    if (answer !== undefined) this.#told(node, answer)
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
