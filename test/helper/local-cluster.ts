/** A cluster whose nodes are all in this process. A message takes a turn of the event loop. */
import {
  ClusterError,
  type Answer,
  type Cluster,
  type ClusterMessage,
  type ClusterReceiver,
} from '../../src/cluster/cluster.js'

/** Returns the nodes of a new cluster. */
export function localCluster(count: number): Cluster[] {
  const nodes = new Map<string, LocalNode>()
  return Array.from({ length: count }, (_, n) => new LocalNode(`node-${n}`, nodes))
}

class LocalNode implements Cluster {
  readonly node: string
  readonly #nodes: Map<string, LocalNode>
  #receiver: ClusterReceiver | undefined
  #receive!: () => void
  readonly #receiving = new Promise<void>((resolve) => (this.#receive = resolve))
  /** Refuses the pending requests of this node, or to it. */
  readonly #waiting = new Set<(err: ClusterError) => void>()

  constructor(node: string, nodes: Map<string, LocalNode>) {
    this.node = node
    this.#nodes = nodes
    nodes.set(node, this)
  }

  nodes(): readonly string[] {
    return [...this.#nodes.keys()].sort()
  }

  receive(receiver: ClusterReceiver): void {
    this.#receiver = receiver
    this.#receive()
  }

  broadcast(message: ClusterMessage): void {
    if (!this.#isOpen) return
    const json = JSON.stringify(message)
    for (const node of this.#nodes.values()) {
      if (node !== this) setImmediate(() => node.#hear(JSON.parse(json) as ClusterMessage, this.node))
    }
  }

  async request(name: string, message: ClusterMessage): Promise<unknown> {
    this.#requireOpen()
    const node = this.#nodes.get(name)
    if (!node) throw new ClusterError('node-gone', `There is no node ${name}.`)
    const json = JSON.stringify(message)
    return new Promise((resolve, reject) => {
      const waits: [Set<(err: ClusterError) => void>, (err: ClusterError) => void][] = [
        [this.#waiting, reject],
        [node.#waiting, () => reject(new ClusterError('node-gone', `The node ${name} has gone.`))],
      ]
      if (node === this) waits.pop()
      for (const [waiting, refuse] of waits) waiting.add(refuse)
      node
        .#answer(JSON.parse(json) as ClusterMessage, this.node)
        .then(resolve, (err: unknown) => reject(new ClusterError('refused', (err as Error).message)))
        .finally(() => {
          for (const [waiting, refuse] of waits) waiting.delete(refuse)
        })
    })
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
    this.#nodes.delete(this.node)
    for (const refuse of this.#waiting) refuse(closed())
    this.#waiting.clear()
  }

  get #isOpen(): boolean {
    return this.#nodes.get(this.node) === this
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw closed()
  }

  #hear(message: ClusterMessage, from: string): void {
    if (this.#isOpen) this.#receiver?.broadcast(message, from)
  }

  async #answer(message: ClusterMessage, from: string): Promise<unknown> {
    await this.#receiving
    await new Promise((resolve) => setImmediate(resolve))
    const answer = await this.#receiver!.request(message, from)
    return answer === undefined ? undefined : (JSON.parse(JSON.stringify(answer)) as unknown)
  }
}

function closed(): ClusterError {
  return new ClusterError('closed', 'The node has left the cluster.')
}
