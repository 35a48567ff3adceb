/**
 * A cluster whose nodes are all in this process. By default a message takes a turn of the event loop. Nodes can be
 * killed, and can freeze.
 */
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import {
  ClusterError,
  type Answer,
  type Cluster,
  type ClusterMessage,
  type ClusterReceiver,
} from '../../src/cluster/cluster.js'
import { random, type Random } from './random.js'

export interface LocalClusterOptions {
  /** Delays each message by a random number of turns. Only broadcasts of one node to another stay in order. */
  seed?: number
  /** The time limit for an answer, in milliseconds. */
  timeout?: number
}

/** The maximum number of turns that a delayed message takes. */
const TURNS = 5
const TIMEOUT = 5_000

/** Returns the nodes of a new cluster. */
export function localCluster(count: number): Cluster[] {
  const cluster = new LocalCluster()
  return Array.from({ length: count }, () => cluster.start())
}

export class LocalCluster {
  readonly nodes = new Map<string, LocalNode>()
  readonly timeout: number
  readonly #random: Random | undefined
  #started = 0

  constructor({ seed, timeout = TIMEOUT }: LocalClusterOptions = {}) {
    this.timeout = timeout
    this.#random = seed === undefined ? undefined : random(seed)
  }

  /** Starts a further node. */
  start(): LocalNode {
    return new LocalNode(`node-${this.#started++}`, this)
  }

  /** Waits as long as a message takes. */
  async pause(): Promise<void> {
    for (let turns = this.#random ? this.#random.below(TURNS) + 1 : 1; turns > 0; turns--) await turn()
  }
}

type Refuse = (err: ClusterError) => void

export class LocalNode implements Cluster {
  readonly node: string
  /** As `Cluster.leader`. */
  leader: () => string | undefined = () => undefined
  readonly #cluster: LocalCluster
  #receiver: ClusterReceiver | undefined
  #receive!: () => void
  readonly #receiving = new Promise<void>((resolve) => (this.#receive = resolve))
  /** Refuses the pending requests of this node, or to it. */
  readonly #waiting = new Set<Refuse>()
  /** Resolves when the last broadcast from each other node has arrived. */
  readonly #arrivals = new Map<string, Promise<void>>()
  #isFrozen = false

  constructor(node: string, cluster: LocalCluster) {
    this.node = node
    this.#cluster = cluster
    cluster.nodes.set(node, this)
  }

  nodes(): readonly string[] {
    return [...this.#cluster.nodes.keys()].sort()
  }

  receive(receiver: ClusterReceiver): void {
    this.#receiver = receiver
    this.#receive()
  }

  broadcast(message: ClusterMessage): void {
    if (!this.#isOpen || this.#isFrozen) return
    const json = JSON.stringify(message)
    for (const node of this.#cluster.nodes.values()) {
      if (node !== this) node.#receiveBroadcast(JSON.parse(json) as ClusterMessage, this.node)
    }
  }

  async request(name: string, message: ClusterMessage): Promise<unknown> {
    this.#requireOpen()
    const node = this.#cluster.nodes.get(name)
    if (!node) throw new ClusterError('node-gone', `There is no node ${name}.`)
    if (this.#isFrozen) return this.#timeOut(name)
    const json = JSON.stringify(message)
    const refusals: [Set<Refuse>, Refuse][] = []
    const refused = new Promise<never>((_resolve, reject) => {
      refusals.push([this.#waiting, reject])
      if (node !== this)
        refusals.push([node.#waiting, () => reject(new ClusterError('node-gone', `The node ${name} has gone.`))])
    })
    for (const [waiting, refuse] of refusals) waiting.add(refuse)
    const timer = new AbortController()
    try {
      return await Promise.race([
        node.#answer(JSON.parse(json) as ClusterMessage, this.node),
        refused,
        this.#timeOut(name, timer.signal),
      ])
    } finally {
      timer.abort()
      for (const [waiting, refuse] of refusals) waiting.delete(refuse)
    }
  }

  async survey(message: ClusterMessage): Promise<Answer[]> {
    this.#requireOpen()
    const others = this.nodes().filter((node) => node !== this.node)
    const answers = await Promise.allSettled(others.map((node) => this.request(node, message)))
    this.#requireOpen()
    return answers.flatMap((answer, index) =>
      answer.status === 'fulfilled' ? [{ node: others[index]!, value: answer.value }] : [],
    )
  }

  async close(): Promise<void> {
    this.die()
  }

  /** Ends without notifying the other nodes, as a killed process does. */
  die(): void {
    this.#cluster.nodes.delete(this.node)
    for (const refuse of this.#waiting) refuse(closed())
    this.#waiting.clear()
  }

  /** Sends, receives and answers nothing from now on, as a frozen process. */
  freeze(): void {
    this.#isFrozen = true
  }

  /** Ends the freeze. Broadcasts that were sent meanwhile are lost. */
  thaw(): void {
    this.#isFrozen = false
  }

  /** Leaves the list of nodes for a while, as behind a broken network. */
  vanish(): void {
    this.freeze()
    this.#cluster.nodes.delete(this.node)
  }

  /** Comes back to the list of nodes. */
  reappear(): void {
    this.#cluster.nodes.set(this.node, this)
    this.thaw()
  }

  get #isOpen(): boolean {
    return this.#cluster.nodes.get(this.node) === this
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw closed()
  }

  #receiveBroadcast(message: ClusterMessage, from: string): void {
    const before = this.#arrivals.get(from)
    const arrival = (async () => {
      await this.#cluster.pause()
      await before
      if (this.#isOpen && !this.#isFrozen) this.#receiver?.broadcast(message, from)
    })()
    this.#arrivals.set(from, arrival)
  }

  async #answer(message: ClusterMessage, from: string): Promise<unknown> {
    if (this.#isFrozen) await new Promise(() => undefined)
    await this.#receiving
    await this.#cluster.pause()
    let answer: unknown
    try {
      answer = await this.#receiver!.request(message, from)
    } catch (err) {
      throw new ClusterError('refused', (err as Error).message)
    }
    const json = answer === undefined ? undefined : JSON.stringify(answer)
    await this.#cluster.pause()
    return json === undefined ? undefined : (JSON.parse(json) as unknown)
  }

  async #timeOut(name: string, signal?: AbortSignal): Promise<never> {
    await wait(this.#cluster.timeout, undefined, signal && { signal }).catch(() => undefined)
    throw new ClusterError('node-gone', `The node ${name} does not answer.`)
  }
}

function closed(): ClusterError {
  return new ClusterError('closed', 'The node has left the cluster.')
}
