/**
 * Messages between the processes of a folder, outside the log. They travel through the leader: every replica has a
 * connection to it.
 */
import { randomBytes } from 'node:crypto'

/** Sends messages to the other processes. */
export interface PeerLink {
  /** @param to the node that gets the message; `undefined`: all other nodes */
  send(to: string | undefined, body: unknown): void
}

/** The receiver of messages. */
export interface PeerListener {
  /** Called with each message, in the order in which its node has sent them. */
  onMessage(body: unknown, from: string): void
  /** Called after each change of `nodes`. */
  onNodes(): void
}

/** The number of messages that are kept while the leader changes. Further ones are lost. */
const MAX_WAITING = 10_000
/** How long a node without a connection stays in the list, in milliseconds: it may be looking for the leader. */
const ABSENCE = 2_000

export class Peers {
  /** The name of this process. */
  readonly node = randomBytes(8).toString('hex')
  #nodes: readonly string[] = [this.node]
  #leader: string | undefined
  /** The absent nodes, each with the timer that drops it. They may come back. */
  readonly #absent = new Map<string, NodeJS.Timeout>()
  #listener: PeerListener | undefined
  #link: PeerLink | undefined
  #waiting: { to: string | undefined; body: unknown }[] = []

  /** All nodes, including this one, sorted. */
  get nodes(): readonly string[] {
    return this.#nodes
  }

  /** The node that writes the log; `undefined` while the leader changes. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Sets the receiver. Earlier messages are lost. */
  listen(listener: PeerListener): void {
    this.#listener = listener
  }

  /** Sends a message, at most once. */
  send(to: string | undefined, body: unknown): void {
    if (this.#link) this.#link.send(to, body)
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ to, body })
  }

  /** Sets the link for outgoing messages; `undefined` while the leader changes. */
  connect(link: PeerLink | undefined, leader?: string): void {
    this.#link = link
    this.#leader = leader
    if (!link) return
    for (const { to, body } of this.#waiting.splice(0)) link.send(to, body)
  }

  /** Gives a message to the receiver. */
  receive(body: unknown, from: string): void {
    this.#listener?.onMessage(body, from)
  }

  /**
   * Sets the list of connected nodes. A missing node stays in `nodes` for 2 s.
   * @param left the node that has ended
   */
  setNodes(connected: Iterable<string>, left?: string): void {
    const present = new Set([...connected, this.node])
    if (left !== undefined) this.#drop(left)
    for (const node of present) {
      clearTimeout(this.#absent.get(node))
      this.#absent.delete(node)
    }
    for (const node of this.#nodes) {
      if (present.has(node) || this.#absent.has(node)) continue
      this.#absent.set(node, setTimeout(() => this.#drop(node), ABSENCE).unref())
    }
    this.#update([...present, ...this.#absent.keys()])
  }

  /** Stops all timers. */
  close(): void {
    for (const timer of this.#absent.values()) clearTimeout(timer)
    this.#absent.clear()
    this.#listener = undefined
    this.#link = undefined
  }

  #drop(node: string): void {
    clearTimeout(this.#absent.get(node))
    this.#absent.delete(node)
    this.#update(this.#nodes.filter((name) => name !== node))
  }

  #update(nodes: string[]): void {
    const sorted = nodes.sort()
    if (sorted.length === this.#nodes.length && sorted.every((node, index) => node === this.#nodes[index])) return
    this.#nodes = sorted
    this.#listener?.onNodes()
  }
}
