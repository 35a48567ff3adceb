/**
 * Keeps the runs of TanStack AI in finite topics of the hub: an adapter of `StreamDurability`. It runs on a server. The
 * types are those of `@tanstack/ai`.
 */
import { backoff, delay } from './backoff.js'
import { pathOfName } from './finite/path.js'
import { cursorOf, readMessages } from './finite/read.js'
import { FiniteStreams, hasCode, isMissing, type EndStatus, type HubAccess } from './finite/streams.js'
import { isLost, isMark, Writer } from './finite/writer.js'
import { randomId } from './publish.js'

/** Names a run, where there is no request. */
export interface RunSource {
  runId: string
  /** The offset after which a subscriber continues; default: this is the producer. */
  offset?: string | null
}

/** A chunk and the offset behind it. */
export interface StoredChunk<Chunk> {
  offset: string
  chunk: Chunk
}

export interface StreamDurability<Chunk> {
  /** The offset of the request; `null`: the request is that of the producer. */
  resumeFrom: () => string | null
  /** Stores chunks. Resolves with the offset of each. */
  append: (chunks: Chunk[]) => Promise<string[]>
  /** Yields the chunks after an offset (`-1`: the start; `now`) until the run is complete. */
  read: (offset: string, signal?: AbortSignal) => AsyncIterable<StoredChunk<Chunk>>
  /** Completes the run. */
  close: () => Promise<void>
  /** Resolves with what is stored now. */
  snapshot: () => Promise<StoredChunk<Chunk>[]>
  /** Stops the run of any producer: the producer's next `append` fails, and readers end. For a stop button. */
  cancel: () => Promise<void>
}

export interface FanfareStreamOptions extends HubAccess {
  /** The topic above those of the runs. Default: `runs`. */
  prefix?: string
  /** How long a run is kept without an append or a read, in milliseconds. Default: that of the hub. */
  ttl?: number
  /** A run ends with `error` this time after its producer has vanished, in milliseconds. Default: 30,000. */
  lease?: number
  /** How long a subscriber waits for a run that does not exist yet, in milliseconds. Default: 100. */
  firstChunkDeadlineMs?: number
}

/** The producer of all runs: one with a later start takes a run over. */
const PRODUCER = 'tanstack-ai'
/** The maximum size of one append, in characters of JSON, unless one chunk is larger. The hub limits the body. */
const MAX_APPEND = 262_144
/** The wait before the next look for a run that does not exist yet, in milliseconds. */
const LOOK_AGAIN = 25

/**
 * Returns the durability of a run.
 * @param source the request, whose `X-Run-Id` or `?runId=` names the run, and whose `Last-Event-ID` or `?offset=` is
 *   the offset of a subscriber
 * @throws TypeError if the run or the offset cannot be one
 */
// `any`: the chunks are of a type of @tanstack/ai, which the caller's context infers
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function fanfareStream<Chunk = any>(
  source: Request | RunSource,
  options: FanfareStreamOptions,
): StreamDurability<Chunk> {
  return new Run<Chunk>(source, options)
}

class Run<Chunk> implements StreamDurability<Chunk> {
  readonly #streams: FiniteStreams
  readonly #options: FanfareStreamOptions
  readonly #offset: string | null
  readonly #runId: string
  readonly #path: string
  #writer: Promise<Writer> | undefined
  #isCancelled = false

  constructor(source: Request | RunSource, options: FanfareStreamOptions) {
    const { runId, offset } = source instanceof Request ? readRequest(source) : source
    this.#streams = new FiniteStreams(options)
    this.#options = options
    this.#offset = offset ?? null
    this.#runId = runIdOf(runId, this.#offset)
    this.#path = pathOfName(options.prefix ?? 'runs', this.#runId)
  }

  readonly resumeFrom = (): string | null => this.#offset

  readonly append = async (chunks: Chunk[]): Promise<string[]> => {
    // TanStack AI stores an error at last. A run that was cancelled has its end already
    if (this.#isCancelled && chunks.every(isError)) return chunks.map(() => this.#offsetOf(cursorOf('-1', 0)))
    const writer = await (this.#writer ??= this.#open())
    const appends = divide(chunks).map(async (part) => {
      const before = await writer.append(part)
      return part.map((_, i) => this.#offsetOf(cursorOf(before, i + 1)))
    })
    try {
      return (await Promise.all(appends)).flat()
    } catch (error) {
      if (!hasCode(error, 'cancelled')) throw error
      this.#isCancelled = true
      throw endOf(this.#runId, 'cancelled', error)
    }
  }

  readonly read = (offset: string, signal?: AbortSignal): AsyncIterable<StoredChunk<Chunk>> =>
    this.#read(offset, signal)

  readonly close = async (): Promise<void> => {
    try {
      const writer = await this.#writer
      if (writer) await writer.append([], 'done')
      else await this.#streams.append(this.#path, { messages: [], end: 'done' })
    } catch (error) {
      if (!isLost(error)) throw error // otherwise it has ended, or another producer has taken it over
    }
  }

  readonly snapshot = async (): Promise<StoredChunk<Chunk>[]> => {
    const stored: StoredChunk<Chunk>[] = []
    try {
      for (let after = '-1', isLast = false; !isLast;) {
        const page = await this.#streams.page(this.#path, after)
        for (const [i, message] of page.messages.entries()) {
          const offset = this.#offsetOf(cursorOf(after, i + 1))
          if (!isMark(message)) stored.push({ offset, chunk: message as Chunk })
        }
        after = page.next
        isLast = page.isLast
      }
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    return stored
  }

  readonly cancel = async (): Promise<void> => {
    try {
      await this.#streams.cancel(this.#path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async #open(): Promise<Writer> {
    // a later start is a higher epoch; the random part is for starts in the same millisecond
    const epoch = Date.now() * 1_000 + Math.floor(Math.random() * 1_000)
    const { ttl, lease } = this.#options
    try {
      const writer = await Writer.open(this.#streams, this.#path, {
        id: PRODUCER,
        epoch,
        ttl: seconds(ttl),
        lease: seconds(lease),
      })
      return writer!
    } catch (error) {
      this.#writer = undefined
      throw error
    }
  }

  async *#read(offset: string, signal: AbortSignal | undefined): AsyncGenerator<StoredChunk<Chunk>, void, undefined> {
    const cursor = await this.#cursorOf(offset, signal)
    const entries = readMessages(this.#streams, this.#path, cursor, signal)
    try {
      for (;;) {
        const { done, value } = await entries.next()
        if (done && value !== undefined && value !== 'done') throw endOf(this.#runId, value)
        if (done) return
        yield { offset: this.#offsetOf(value.cursor), chunk: value.message as Chunk }
      }
    } finally {
      await entries.return(undefined)
    }
  }

  /**
   * Returns the cursor of an offset. A subscriber from the start may be faster than the producer, so it waits a while.
   * @throws TypeError, HubError
   */
  async #cursorOf(offset: string, signal: AbortSignal | undefined): Promise<string> {
    if (offset !== '-1' && offset !== 'now') {
      const { runId, cursor } = parseOffset(offset)
      if (runId === this.#runId) return cursor
      throw new TypeError(`The offset ${JSON.stringify(offset)} belongs to another run.`)
    }
    const until = performance.now() + (this.#options.firstChunkDeadlineMs ?? 100)
    for (;;) {
      try {
        const { next } = await this.#streams.page(this.#path, 'now')
        return offset === 'now' ? next : '-1'
      } catch (error) {
        if (!isMissing(error) || performance.now() > until || signal?.aborted) throw error
      }
      await delay(backoff(LOOK_AGAIN, 0), signal)
    }
  }

  #offsetOf(cursor: string): string {
    return `${encodeURIComponent(this.#runId)}:${cursor}`
  }
}

/** Reads the run and the offset of a request as TanStack AI sends them. */
function readRequest({ headers, url }: Request): { runId: string | undefined; offset: string | null } {
  const { searchParams } = new URL(url)
  return {
    runId: headers.get('x-run-id') || searchParams.get('runId') || undefined,
    offset: headers.get('last-event-id') || searchParams.get('offset'),
  }
}

/**
 * Returns the run of a request. A request that names none is that of a producer, or of an offset, which names it too.
 * @throws TypeError
 */
function runIdOf(named: string | undefined, offset: string | null): string {
  const known = offset === null || offset === '-1' || offset === 'now' ? undefined : parseOffset(offset).runId
  // an application that checks the name of the run must not be deceived by an offset
  if (named !== undefined && known !== undefined && named !== known)
    throw new TypeError(`The offset ${JSON.stringify(offset)} does not belong to the run ${JSON.stringify(named)}.`)
  return named ?? known ?? randomId()
}

/** @throws TypeError */
function parseOffset(offset: string): { runId: string; cursor: string } {
  const [, runId, cursor] = /^([^:]+):((?:-1|\d{16})\.\d{1,9})$/.exec(offset) ?? []
  try {
    if (runId !== undefined && cursor !== undefined) return { runId: decodeURIComponent(runId), cursor }
  } catch {
    // it is not percent-encoded
  }
  throw new TypeError(`${JSON.stringify(offset)} is no offset of a run.`)
}

function isError(chunk: unknown): boolean {
  return (chunk as { type?: unknown } | null)?.type === 'RUN_ERROR'
}

/** Returns the error of a run that its producer has not completed. */
function endOf(runId: string, status: EndStatus, cause?: unknown): Error {
  const error = new Error(`The run ${JSON.stringify(runId)} has ended: ${status}.`, { cause })
  if (status === 'cancelled') error.name = 'AbortError' // TanStack AI reports it as a run that was aborted
  return error
}

/** Divides chunks into appends that the hub takes. */
function divide<Chunk>(chunks: readonly Chunk[]): Chunk[][] {
  const parts: Chunk[][] = []
  let size = Infinity
  for (const chunk of chunks) {
    const { length } = JSON.stringify(chunk)
    size += length
    if (size > MAX_APPEND) {
      parts.push([])
      size = length
    }
    parts.at(-1)!.push(chunk)
  }
  return parts
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.ceil(ms / 1_000)
}
