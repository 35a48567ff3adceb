/**
 * Reads pages for live reads. Readers at the same offset share a page and its encoding: an append wakes all of them in
 * the same turn of the event loop.
 */
import type { FiniteTopics, MessagePage } from '../../hub/finite/finite-topic.js'
import type { Chunk } from '../../wire/chunk.js'
import { encodePage, wholeCharacters } from './event-blocks.js'

/** The size of a page, in bytes. A stalled subscriber keeps at most one page. */
const PAGE_BYTES = 64 * 1024

export class SharedPage {
  /** The page without messages that end within a character. */
  readonly page: MessagePage
  /** The offset after all messages that were read. */
  readonly read: number
  readonly #chunks = new Map<number, Chunk>()

  constructor(page: MessagePage) {
    this.page = wholeCharacters(page)
    this.read = page.next
  }

  /** Whether nothing follows the page, since the topic has ended. */
  get isEnd(): boolean {
    return this.page.isUpToDate && this.page.topic.status !== 'open'
  }

  /** Whether nothing can be sent after the page until more is appended. */
  get reachesTail(): boolean {
    return this.page.isUpToDate || this.read !== this.page.next
  }

  /** Returns the blocks of the page for readers with a cursor. */
  chunk(cursor: number): Chunk {
    let chunk = this.#chunks.get(cursor)
    if (!chunk) this.#chunks.set(cursor, (chunk = encodePage(this.page, cursor)))
    return chunk
  }
}

export class SharedPages {
  readonly #finite: FiniteTopics
  readonly #reading = new Map<string, Promise<SharedPage>>()

  constructor(finite: FiniteTopics) {
    this.#finite = finite
  }

  /** Reads the messages after an offset. The page may lack messages that were appended in this turn. */
  read(topic: string, after: number): Promise<SharedPage> {
    const key = `${topic} ${after}`
    const shared = this.#reading.get(key)
    if (shared) return shared
    const reading = readPage(this.#finite, topic, after, PAGE_BYTES).then((page) => new SharedPage(page))
    this.#reading.set(key, reading)
    const forget = () => void setImmediate(() => this.#reading.delete(key))
    reading.then(forget, forget)
    return reading
  }
}

/**
 * Reads a page as `FiniteTopics.read`. An empty page that reaches the tail ends at the tail, from which a live read
 * waits.
 */
export async function readPage(
  finite: FiniteTopics,
  topic: string,
  after: number,
  bytes: number,
): Promise<MessagePage> {
  const page = await finite.read(topic, after, bytes)
  return page.isUpToDate && page.next < page.topic.tail ? { ...page, next: page.topic.tail } : page
}
