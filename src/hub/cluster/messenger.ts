/**
 * Sends the messages of the hub to the other processes, and passes received messages to the handlers of their kinds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ClusterError, type Answer, type Cluster, type ClusterMessage } from '../../cluster/cluster.js'
import { HubError } from '../../model/hub-error.js'

/** How long `gather` waits for answers, in milliseconds. */
const GATHER_TIME = 500

export class Messenger {
  readonly #cluster: Cluster
  readonly #broadcastHandlers = new Map<string, (message: never, from: string) => void>()
  readonly #requestHandlers = new Map<string, (message: never, from: string) => unknown>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** The name of this node. */
  get node(): string {
    return this.#cluster.node
  }

  /** Whether there is no other node. */
  get isAlone(): boolean {
    return this.#cluster.nodes().length <= 1
  }

  /** Returns the other running nodes. */
  others(): string[] {
    return this.#cluster.nodes().filter((node) => node !== this.node)
  }

  /** Returns all running nodes, including this one. */
  nodes(): readonly string[] {
    return this.#cluster.nodes()
  }

  /** As `Cluster.leader`. */
  leader(): string | undefined {
    return this.#cluster.leader?.()
  }

  /** Sets the handler for the broadcasts of a kind. */
  onBroadcast<M extends ClusterMessage>(kind: M['kind'], handle: (message: M, from: string) => void): void {
    this.#broadcastHandlers.set(kind, handle)
  }

  /** Sets the handler that answers the requests of a kind with plain data. An exception refuses the request. */
  onRequest<M extends ClusterMessage>(kind: M['kind'], answer: (message: M, from: string) => unknown): void {
    this.#requestHandlers.set(kind, answer)
  }

  /** Starts to receive. Call it once, after the handlers are set. */
  start(): void {
    this.#cluster.receive({
      // unknown messages are ignored: a newer version may send them
      broadcast: (message, from) => this.#broadcastHandlers.get(message.kind)?.(message as never, from),
      request: (message, from) => {
        const answer = this.#requestHandlers.get(message.kind)
        if (!answer) throw new Error(`this node does not know how to answer ${message.kind}`)
        return answer(message as never, from)
      },
    })
  }

  /** As `Cluster.broadcast`. */
  broadcast(message: ClusterMessage): void {
    this.#cluster.broadcast(message)
  }

  /** As `Cluster.request`. */
  request(node: string, message: ClusterMessage): Promise<unknown> {
    return this.#cluster.request(node, message)
  }

  /**
   * Sends a request to another node.
   * @returns the answer; `undefined`: the node no longer exists
   * @throws HubError `unavailable` if the node runs and does not answer; `hub-closed`
   */
  async ask(node: string, message: ClusterMessage): Promise<{ value: unknown } | undefined> {
    try {
      return { value: await this.request(node, message) }
    } catch (err) {
      if (err instanceof ClusterError && err.code === 'closed') throw new HubError('hub-closed', 'The hub is closed.')
      if (!this.nodes().includes(node)) return undefined
      throw noAnswer([node], err)
    }
  }

  /**
   * Sends a request to every other node.
   * @throws HubError `unavailable` if one of them does not answer; `hub-closed`
   */
  async askAll(message: ClusterMessage): Promise<Answer[]> {
    if (this.isAlone) return []
    const others = this.others()
    let answers: Answer[]
    try {
      answers = await this.#cluster.survey(message)
    } catch (err) {
      throw new HubError('hub-closed', 'The hub is closed.', { cause: err })
    }
    const silent = this.#silent(others, answers)
    if (silent.length > 0) throw noAnswer(silent)
    return answers
  }

  /** Sends a request to every other node. Resolves with the answers, without the nodes that do not answer. */
  async survey(message: ClusterMessage): Promise<Answer[]> {
    return this.isAlone ? [] : this.#cluster.survey(message)
  }

  /** As `survey`, but waits only a short time for the answers. */
  async gather(message: ClusterMessage): Promise<Answer[]> {
    if (this.isAlone) return []
    const answers: Answer[] = []
    const asked = this.others().map(async (node) => {
      const value = await this.request(node, message)
      answers.push({ node, value })
    })
    const timer = new AbortController()
    const late = delay(GATHER_TIME, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([Promise.allSettled(asked), late])
    timer.abort()
    return [...answers]
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }

  #silent(asked: readonly string[], answers: readonly Answer[]): string[] {
    const running = this.nodes()
    return asked.filter((node) => running.includes(node) && !answers.some((answer) => answer.node === node))
  }
}

function noAnswer(nodes: readonly string[], cause?: unknown): HubError {
  const words =
    nodes.length === 1
      ? `The process ${nodes[0]!} of this hub does not answer.`
      : `The processes ${nodes.join(', ')} of this hub do not answer.`
  return new HubError('unavailable', `${words} Try again.`, { cause })
}
