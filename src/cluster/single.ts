/** The cluster of one process, without other nodes. */
import { randomBytes } from 'node:crypto'
import { ClusterError, type Answer, type Cluster, type ClusterMessage, type ClusterReceiver } from './cluster.js'

export class SingleCluster implements Cluster {
  readonly node = randomBytes(8).toString('hex')
  readonly #nodes = [this.node]
  #receive!: (receiver: ClusterReceiver) => void
  readonly #receiver = new Promise<ClusterReceiver>((resolve) => (this.#receive = resolve))
  #leave!: (err: ClusterError) => void
  readonly #left = new Promise<never>((_resolve, reject) => (this.#leave = reject))
  #isClosed = false

  constructor() {
    this.#left.catch(() => undefined) // prevents an unhandled rejection if no request is pending
  }

  nodes(): readonly string[] {
    return this.#nodes
  }

  receive(receiver: ClusterReceiver): void {
    this.#receive(receiver)
  }

  broadcast(): void {
    // there are no other nodes
  }

  async request(node: string, message: ClusterMessage): Promise<unknown> {
    this.#requireOpen()
    if (node !== this.node) throw new ClusterError('node-gone', `There is no node ${node}.`)
    return Promise.race([this.#left, this.#ask(message)])
  }

  async #ask(message: ClusterMessage): Promise<unknown> {
    const receiver = await this.#receiver
    try {
      return copyOf(await receiver.request(copyOf(message), this.node))
    } catch (err) {
      throw new ClusterError('refused', (err as Error).message)
    }
  }

  async survey(): Promise<Answer[]> {
    this.#requireOpen()
    return []
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#leave(closed())
  }

  #requireOpen(): void {
    if (this.#isClosed) throw closed()
  }
}

function closed(): ClusterError {
  return new ClusterError('closed', 'The node has left the cluster.')
}

/** Returns a value as its receiver gets it: JSON omits `undefined` in objects. */
function copyOf(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown)
}
