/**
 * Sends the messages of the hub to the other processes, and passes received messages to the handlers of their kinds.
 * The shape of each message and answer is checked, since another process may have another version: any other is
 * ignored.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ClusterError, type Answer, type Cluster, type ClusterMessage } from '../../cluster/cluster.js'
import { HubError } from '../../model/hub-error.js'
import { isString, shapeOf, type Check } from '../../model/shape.js'

/** How long `gather` waits for answers, in milliseconds. */
const GATHER_TIME = 500
/** The maximum number of faults that are remembered, so that each is logged once. */
const MAX_FAULTS = 1_000

/** The members of a message, without its kind. */
type Body<M> = {
  [K in keyof M as string extends K ? never : number extends K ? never : K extends 'kind' ? never : K]: M[K]
}

/** The answer of one node, of the expected shape. */
export interface CheckedAnswer<T> extends Answer {
  value: T
}

const isMessage: Check<{ kind: string }> = shapeOf({ kind: isString })
const ignore = () => undefined

export class Messenger {
  readonly #cluster: Cluster
  readonly #onError: (err: unknown, message: string) => void
  readonly #broadcastHandlers = new Map<string, (message: unknown, from: string) => void>()
  readonly #requestHandlers = new Map<string, (message: unknown, from: string) => unknown>()
  /** The faults that were logged. A process may send many messages of a kind. */
  readonly #faults = new Set<string>()

  /** @param onError receives an error for each kind of message that a process sends with another shape, once */
  constructor(cluster: Cluster, onError: (err: unknown, message: string) => void = ignore) {
    this.#cluster = cluster
    this.#onError = onError
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

  /**
   * Sets the handler for the broadcasts of a kind.
   * @param isBody checks the members of the message
   */
  onBroadcast<M extends ClusterMessage>(
    kind: M['kind'],
    isBody: Check<Body<M>>,
    handle: (message: M, from: string) => void,
  ): void {
    this.#broadcastHandlers.set(kind, (message, from) => {
      if (isBody(message)) handle(message as unknown as M, from)
      else this.#ignore(kind, from)
    })
  }

  /**
   * Sets the handler that answers the requests of a kind with plain data. An exception refuses the request.
   * @param isBody checks the members of the message
   */
  onRequest<M extends ClusterMessage>(
    kind: M['kind'],
    isBody: Check<Body<M>>,
    answer: (message: M, from: string) => unknown,
  ): void {
    this.#requestHandlers.set(kind, (message, from) => {
      if (isBody(message)) return answer(message as unknown as M, from)
      throw this.#ignore(kind, from)
    })
  }

  /** Starts to receive. Call it once, after the handlers are set. */
  start(): void {
    this.#cluster.receive({
      broadcast: (message: unknown, from) => {
        // unknown kinds are ignored: a newer version may send them
        if (isMessage(message)) this.#broadcastHandlers.get(message.kind)?.(message, from)
        else this.#ignore('unknown', from)
      },
      request: (message: unknown, from) => {
        if (!isMessage(message)) throw this.#ignore('unknown', from)
        const answer = this.#requestHandlers.get(message.kind)
        if (!answer) throw new Error(`this node does not know how to answer ${message.kind}`)
        return answer(message, from)
      },
    })
  }

  /** As `Cluster.broadcast`. */
  broadcast(message: ClusterMessage): void {
    this.#cluster.broadcast(message)
  }

  /**
   * As `Cluster.request`.
   * @throws ClusterError `refused` too if the answer has another shape
   */
  async request<T>(node: string, message: ClusterMessage, isAnswer: Check<T>): Promise<T> {
    const value = await this.#cluster.request(node, message)
    if (isAnswer(value)) return value
    throw new ClusterError('refused', this.#ignore(`answer to ${message.kind}`, node).message)
  }

  /**
   * Sends a request to another node.
   * @returns the answer; `undefined`: the node no longer exists
   * @throws HubError `unavailable` if the node runs and does not answer; `hub-closed`
   */
  async ask<T>(node: string, message: ClusterMessage, isAnswer: Check<T>): Promise<{ value: T } | undefined> {
    try {
      return { value: await this.request(node, message, isAnswer) }
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
  async askAll<T>(message: ClusterMessage, isAnswer: Check<T>): Promise<CheckedAnswer<T>[]> {
    if (this.isAlone) return []
    const others = this.others()
    let answers: CheckedAnswer<T>[]
    try {
      answers = (await this.#cluster.survey(message)).flatMap(({ node, value }) => {
        if (isAnswer(value)) return [{ node, value }]
        this.#ignore(`answer to ${message.kind}`, node)
        return []
      })
    } catch (err) {
      throw new HubError('hub-closed', 'The hub is closed.', { cause: err })
    }
    const silent = this.#silent(others, answers)
    if (silent.length > 0) throw noAnswer(silent)
    return answers
  }

  /** Sends a request to every other node, and waits a short time. Resolves with the answers that have arrived. */
  async gather<T>(message: ClusterMessage, isAnswer: Check<T>): Promise<CheckedAnswer<T>[]> {
    if (this.isAlone) return []
    const answers: CheckedAnswer<T>[] = []
    const asked = this.others().map(async (node) => {
      const value = await this.request(node, message, isAnswer)
      answers.push({ node, value })
    })
    const timer = new AbortController()
    const late = delay(GATHER_TIME, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([Promise.allSettled(asked), late])
    timer.abort()
    return [...answers]
  }

  /** Logs that a message of another shape was ignored. Returns the error. */
  #ignore(kind: string, from: string): Error {
    const fault = new Error(`the process ${from} has sent a message of the kind ${kind} with another shape`)
    if (this.#faults.size < MAX_FAULTS && !this.#faults.has(fault.message)) {
      this.#faults.add(fault.message)
      this.#onError(fault, 'a message of another process was ignored: its version may differ')
    }
    return fault
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
