/** The cluster of the processes that share the folder of a log. Their messages travel through the leader of the log. */
import { either, isNumber, isString, oneOf, optional, shapeOf, type Check } from '../model/shape.js'
import { ClusterError, type Answer, type Cluster, type ClusterMessage, type ClusterReceiver } from './cluster.js'

/** Delivers messages between the processes of a folder. */
export interface PeerChannel {
  /** The name of this process. */
  readonly node: string
  /** All nodes, including this one, sorted. */
  readonly nodes: readonly string[]
  /** The node that writes the log; `undefined` while it changes. */
  readonly leader: string | undefined
  /** Sends a message, at most once. @param to `undefined`: all other nodes */
  send(to: string | undefined, body: unknown): void
  /** Sets the receiver of the messages of other nodes, and of changes of `nodes`. */
  listen(listener: { onMessage(body: unknown, from: string): void; onNodes(): void }): void
}

/** A message on the channel. `message` and `value` are JSON, so the receiver gets a copy, as the port requires. */
type Envelope =
  | { kind: 'broadcast'; message: string }
  | { kind: 'request'; id: number; message: string }
  | { kind: 'answer'; id: number; value: string | undefined }
  | { kind: 'refusal'; id: number; message: string }

const isEnvelope: Check<Envelope> = either(
  either(
    shapeOf({ kind: oneOf('broadcast'), message: isString }),
    shapeOf({ kind: oneOf('request'), id: isNumber, message: isString }),
  ),
  either(
    shapeOf({ kind: oneOf('answer'), id: isNumber, value: optional(isString) }),
    shapeOf({ kind: oneOf('refusal'), id: isNumber, message: isString }),
  ),
)

/** A request without an answer yet. */
interface Pending {
  readonly node: string
  readonly timer: NodeJS.Timeout
  readonly resolve: (value: unknown) => void
  readonly reject: (err: ClusterError) => void
}

/** How long a request waits for its answer, by default; in milliseconds. */
const TIMEOUT = 5_000

export class FolderCluster implements Cluster {
  readonly #channel: PeerChannel
  readonly #timeout: number
  #start!: (receiver: ClusterReceiver) => void
  readonly #receiver = new Promise<ClusterReceiver>((resolve) => (this.#start = resolve))
  #broadcastReceiver: ClusterReceiver | undefined
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #isClosed = false

  /** @param timeout how long a request waits for its answer, in milliseconds */
  constructor(channel: PeerChannel, timeout = TIMEOUT) {
    this.#channel = channel
    this.#timeout = timeout
    channel.listen({
      onMessage: (body, from) => this.#receive(body, from),
      onNodes: () => this.#refuseGone(),
    })
  }

  get node(): string {
    return this.#channel.node
  }

  nodes(): readonly string[] {
    return this.#channel.nodes
  }

  leader(): string | undefined {
    return this.#channel.leader
  }

  receive(receiver: ClusterReceiver): void {
    this.#broadcastReceiver = receiver
    this.#start(receiver)
  }

  broadcast(message: ClusterMessage): void {
    if (!this.#isClosed) this.#send(undefined, { kind: 'broadcast', message: JSON.stringify(message) })
  }

  async request(node: string, message: ClusterMessage): Promise<unknown> {
    if (this.#isClosed) throw closed()
    if (!this.nodes().includes(node)) throw gone(node)
    const json = JSON.stringify(message)
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      const timer = setTimeout(() => this.#take(id)?.reject(silent(node)), this.#timeout).unref()
      this.#pending.set(id, { node, timer, resolve, reject })
      if (node === this.node) void this.#answer({ kind: 'request', id, message: json }, node)
      else this.#send(node, { kind: 'request', id, message: json })
    })
  }

  async survey(message: ClusterMessage): Promise<Answer[]> {
    if (this.#isClosed) throw closed()
    const others = this.nodes().filter((node) => node !== this.node)
    const answers = await Promise.all(
      others.map((node) =>
        this.request(node, message).then(
          (value) => ({ node, value }),
          (err: unknown) => {
            if (err instanceof ClusterError && err.code === 'closed') throw err
            return undefined
          },
        ),
      ),
    )
    return answers.filter((answer) => answer !== undefined)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(closed())
  }

  #receive(envelope: unknown, from: string): void {
    if (this.#isClosed) return
    if (!isEnvelope(envelope)) return this.#broadcastReceiver?.broadcast(undefined, from) // which reports it
    switch (envelope.kind) {
      case 'broadcast':
        return this.#broadcastReceiver?.broadcast(parse(envelope.message), from)
      case 'request':
        return void this.#answer(envelope, from)
      case 'answer':
        return this.#take(envelope.id)?.resolve(envelope.value === undefined ? undefined : parse(envelope.value))
      case 'refusal':
        return this.#take(envelope.id)?.reject(new ClusterError('refused', envelope.message))
    }
  }

  async #answer({ id, message }: Extract<Envelope, { kind: 'request' }>, from: string): Promise<void> {
    const receiver = await this.#receiver
    let answer: Envelope
    try {
      const value: unknown = await receiver.request(parse(message), from)
      answer = { kind: 'answer', id, value: value === undefined ? undefined : JSON.stringify(value) }
    } catch (err) {
      answer = { kind: 'refusal', id, message: err instanceof Error ? err.message : String(err) }
    }
    if (from === this.node) this.#receive(answer, from)
    else if (!this.#isClosed) this.#send(from, answer)
  }

  #send(to: string | undefined, envelope: Envelope): void {
    this.#channel.send(to, envelope)
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    if (!pending) return undefined
    clearTimeout(pending.timer)
    this.#pending.delete(id)
    return pending
  }

  /** Refuses the requests to nodes that have gone. */
  #refuseGone(): void {
    const nodes = new Set(this.nodes())
    for (const [id, { node }] of this.#pending) if (!nodes.has(node)) this.#take(id)?.reject(gone(node))
  }
}

/** Returns a value from its JSON; `undefined`: it is not JSON. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json) as unknown
  } catch {
    return undefined
  }
}

function closed(): ClusterError {
  return new ClusterError('closed', 'The node has left the cluster.')
}

function gone(node: string): ClusterError {
  return new ClusterError('node-gone', `There is no node ${node}.`)
}

function silent(node: string): ClusterError {
  return new ClusterError('node-gone', `The node ${node} has not answered in time.`)
}
