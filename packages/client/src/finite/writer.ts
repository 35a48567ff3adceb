/**
 * Writes a finite topic: each append is stored once, however often its request is repeated, and a writer whose topic
 * has another writer or was created again is refused. The topic ends with `error` soon after the process has stopped.
 */
import { isFinal } from '../errors.js'
import { insist } from '../insist.js'
import { hasCode, isMissing, type FiniteStreams, type Producer } from './streams.js'

export interface WriterOptions {
  /** The producer. Of several epochs of one id, the highest one writes. */
  id: string
  epoch?: number
  /** `true`: only the first writer of the topic opens it. */
  isFirst?: boolean
  /** The time after which the topic expires without an append or a read, in seconds. */
  ttl?: number | undefined
  /** The time after which the topic ends without a sign of its writer, in seconds. */
  lease?: number | undefined
  /** Called when the writer writes no more. */
  onLeave?: () => void
}

/** The default of `lease`, in seconds. */
const LEASE = 30
/** A lease is renewed this many times in its time. */
const RENEWALS = 3
/**
 * How long a writer that appends nothing renews its lease, in milliseconds. A writer that is left without being closed
 * must not keep its topic open forever.
 */
const LONGEST_SILENCE = 900_000

/** The message by which a writer opens a topic. Readers leave it out. */
interface Mark {
  fanfare: 'writer'
}

/** Whether a message is no message of the application. */
export function isMark(message: unknown): boolean {
  return (message as Partial<Mark> | null)?.fanfare === 'writer'
}

/** Whether an error means that the topic takes nothing more from this writer. */
export function isLost(error: unknown): boolean {
  return isMissing(error) || hasCode(error, 'stream-closed', 'cancelled', 'producer-fenced', 'producer-gap')
}

export class Writer {
  readonly #streams: FiniteStreams
  readonly #path: string
  readonly #producer: Omit<Producer, 'seq'>
  readonly #lease: number
  readonly #onLeave: (() => void) | undefined
  /** The number of the next append. */
  #seq = 0
  /** How many appends before the next one the hub may or may not have stored. */
  #unanswered = 0
  #tail = ''
  /** Settles with the newest append. */
  #newest: Promise<unknown> = Promise.resolve()
  #renewal: ReturnType<typeof setInterval> | undefined
  #appendedAt = 0

  private constructor(streams: FiniteStreams, path: string, options: WriterOptions) {
    const { id, epoch = 0, lease = LEASE, onLeave } = options
    this.#streams = streams
    this.#path = path
    this.#producer = { id, epoch }
    this.#lease = lease
    this.#onLeave = onLeave
  }

  /**
   * Creates the topic, or opens the one that exists.
   * @returns `undefined`: the topic has a writer, or has ended; only with `isFirst`
   * @throws HubError
   */
  static async open(streams: FiniteStreams, path: string, options: WriterOptions): Promise<Writer | undefined> {
    const writer = new Writer(streams, path, options)
    await insist((timeout) => streams.create(path, options.ttl, { timeout }))
    try {
      await writer.#append({ messages: [{ fanfare: 'writer' } satisfies Mark], isFirst: options.isFirst })
    } catch (error) {
      if (options.isFirst && hasCode(error, 'order-regression', 'stream-closed', 'cancelled')) return undefined
      throw error
    }
    writer.#holdLease()
    return writer
  }

  /**
   * Appends messages in the order of the calls, and ends the topic if asked.
   * @returns the offset before the messages
   * @throws HubError
   */
  append(messages: readonly unknown[], end?: 'done' | 'error'): Promise<string> {
    const before = this.#newest
    const appending = before.catch(() => undefined).then(() => this.#append({ messages, end }))
    this.#newest = appending
    return appending
  }

  /** Stops to renew the lease. The topic ends with `error` unless another writer follows. */
  leave(): void {
    clearInterval(this.#renewal)
    this.#onLeave?.()
  }

  async #append(append: {
    messages: readonly unknown[]
    end?: 'done' | 'error' | undefined
    isFirst?: boolean | undefined
  }): Promise<string> {
    this.#appendedAt = performance.now()
    const { messages, end, isFirst } = append
    const order = isFirst ? { order: '0' } : {}
    const before = this.#tail
    try {
      await this.#numbered(async (seq, timeout) => {
        const producer = { ...this.#producer, seq }
        const lease = end === undefined ? { lease: this.#lease } : {}
        this.#tail = await this.#streams.append(
          this.#path,
          { messages, producer, end, ...lease, ...order },
          { timeout },
        )
      })
    } catch (error) {
      if (isLost(error)) this.leave()
      throw error
    }
    if (end !== undefined) this.leave()
    return before
  }

  /**
   * Makes an append with the number that the hub expects. If it is unknown whether the hub has stored the append
   * before, the highest possible number comes first: the hub refuses a number that is too high, and would take one that
   * is too low as a repetition.
   */
  async #numbered(attempt: (seq: number, timeout: number) => Promise<void>): Promise<void> {
    for (let ahead = this.#unanswered; ; ahead--) {
      const seq = this.#seq + ahead
      try {
        await insist((timeout) => attempt(seq, timeout))
        this.#seq = seq + 1
        this.#unanswered = 0
        return
      } catch (error) {
        if (ahead > 0 && hasCode(error, 'producer-gap')) continue
        if (!isFinal(error)) this.#unanswered = ahead + 1
        throw error
      }
    }
  }

  #holdLease(): void {
    const renew = (): void => {
      if (performance.now() - this.#appendedAt > LONGEST_SILENCE) return this.leave()
      this.#streams.append(this.#path, { messages: [], lease: this.#lease }).catch((error: unknown) => {
        if (isLost(error)) this.leave() // after any other failure the next renewal follows
      })
    }
    this.#renewal = setInterval(renew, (this.#lease * 1_000) / RENEWALS)
    // a process that has nothing else to do may end
    ;(this.#renewal as { unref?: () => void }).unref?.()
  }
}
