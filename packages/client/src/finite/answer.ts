/** The chunks of an answer: the messages of a finite topic from its start, over a hub's client. */
import type { Hub } from '../connect.js'
import type { HubEvent } from '../types.js'

/** The source of a `ReadableStream`. */
export class Answer<Chunk> implements UnderlyingDefaultSource<Chunk> {
  readonly #topic: string
  readonly #signal: AbortSignal | undefined
  readonly #reading = new AbortController()
  readonly #events: AsyncIterator<HubEvent<Chunk>, unknown>
  /** How the topic has ended. */
  #end: string | undefined
  /** Why the answer cannot be whole. */
  #failure: Error | undefined

  /** @param signal fails the stream with its reason */
  constructor(hub: Hub, topic: string, signal: AbortSignal | undefined) {
    this.#topic = topic
    this.#signal = signal
    const events = hub.events<Chunk>(topic, {
      from: 'start',
      signal: this.#reading.signal,
      onEnd: ({ end }) => (this.#end = end),
      onGap: ({ reason }) => this.#fail(`Chunks of "${topic}" are missing (${reason}).`),
    })
    this.#events = events[Symbol.asyncIterator]()
    signal?.addEventListener('abort', this.#stop)
  }

  async pull(controller: ReadableStreamDefaultController<Chunk>): Promise<void> {
    try {
      const { done, value } = await this.#events.next()
      this.#signal?.throwIfAborted()
      if (!done && value.data !== undefined) return controller.enqueue(value.data)
      if (!done) this.#fail(`"${this.#topic}" has a message that is no JSON: its type must be application/json.`)
      const last = this.#lastChunk()
      if (last) controller.enqueue(last as Chunk)
      controller.close()
    } catch (error) {
      controller.error(error)
    }
    this.cancel()
  }

  readonly cancel = (): void => {
    this.#signal?.removeEventListener('abort', this.#stop)
    this.#stop()
  }

  readonly #stop = (): void => this.#reading.abort()

  #fail(message: string): void {
    this.#failure = new Error(message)
    this.#stop()
  }

  /**
   * Returns the chunk that follows the last message, if any.
   * @throws Error if the answer is not whole
   */
  #lastChunk(): { type: 'abort' } | undefined {
    if (this.#failure) throw this.#failure
    if (this.#end === 'done') return undefined
    if (this.#end === 'cancelled') return { type: 'abort' }
    throw new Error(
      this.#end === undefined
        ? "The hub's client was closed."
        : `The answer is not whole: "${this.#topic}" has ended with ${this.#end}.`,
    )
  }
}
