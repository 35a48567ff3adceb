/** Follows topics of a hub: reads an event stream, and connects again from its last id whenever it ends. */
import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { CommandError } from './command.js'
import { EXIT } from './exit-codes.js'
import { printAddress } from './hub-address.js'
import { RefusalError, UnreachableError, reasonOf, type HubClient } from './http-client.js'

/** The wait before a new connection until the hub has sent `retry:`, and the maximum wait, in milliseconds. */
const RETRY = 3_000
const MAX_RETRY = 30_000
/** The part of a wait that is drawn at random, so that subscribers do not connect all at once. */
const JITTER = 0.3
/**
 * The time without a byte after which a stream counts as dead: three heartbeats of a hub with the default. It doubles
 * for a hub with fewer heartbeats, up to the maximum.
 */
const SILENCE = 45_000
const MAX_SILENCE = 600_000

/** What happens on a stream, in order. */
export type StreamItem =
  | { kind: 'connecting' }
  | { kind: 'open'; connection: string; topics: string[] }
  | { kind: 'live' }
  | { kind: 'gap'; reason: string; after: string | null; oldest: string | null }
  /** A published event, or a join or a leave. `data` is as on the stream: see the parameter `format`. */
  | { kind: 'event'; type: string | undefined; data: string }
  /** The stream has ended, and a new one is opened after `wait` milliseconds. */
  | { kind: 'waiting'; reason: string; wait: number }
  /** The topics have ended: no further event will come. */
  | { kind: 'end'; reason: string }

/** The ways in which a stream ends. */
interface Ending {
  reason: string
  /** The wait that the hub asks for, in milliseconds. */
  wait?: number
  isFinal?: boolean
}

/**
 * Yields what a stream brings, with backpressure: it reads on when the caller asks for the next item. It connects again
 * until `signal` aborts, at which the iteration ends.
 * @param path the path and the query of the stream, without `lastEventId`
 * @throws RefusalError if the hub refuses the stream for good, also after it has been open; UnreachableError if the
 *   first connection fails
 */
export async function* follow(client: HubClient, path: string, signal: AbortSignal): AsyncGenerator<StreamItem> {
  const follower = new Follower(client, path, signal)
  for (;;) {
    yield { kind: 'connecting' }
    const ending = yield* follower.readStream()
    if (signal.aborted) return
    if (ending.isFinal) {
      yield { kind: 'end', reason: ending.reason }
      return
    }
    const wait = follower.nextWait(ending)
    yield { kind: 'waiting', reason: ending.reason, wait }
    if (!(await waits(wait, signal))) return
  }
}

/** Waits for a number of milliseconds. Returns whether the time has passed: `false` if the signal aborts. */
function waits(time: number, signal: AbortSignal): Promise<boolean> {
  return delay(time, true, { signal }).catch(() => false)
}

class Follower {
  readonly #client: HubClient
  readonly #path: string
  readonly #signal: AbortSignal
  #lastId: string | undefined
  #retry = RETRY
  #silence = SILENCE
  /** The attempts since a stream was last open. */
  #failures = 0
  #wasOpen = false

  constructor(client: HubClient, path: string, signal: AbortSignal) {
    this.#client = client
    this.#path = path
    this.#signal = signal
  }

  /** Opens a stream and yields its items until it ends. */
  async *readStream(): AsyncGenerator<StreamItem, Ending> {
    let response: IncomingMessage
    try {
      response = await this.#open()
    } catch (err) {
      if (this.#signal.aborted) return { reason: 'interrupted' }
      this.#failures++
      if (err instanceof RefusalError && err.retryAfter !== undefined)
        return { reason: err.message, wait: err.retryAfter }
      if (err instanceof UnreachableError && this.#wasOpen) return { reason: err.message }
      throw err
    }
    if (response.statusCode === 204) return { reason: 'The topic has ended.', isFinal: true }
    return yield* this.#readBody(response)
  }

  /** Returns the wait before the next attempt in milliseconds: longer after each failure, and drawn at random. */
  nextWait({ wait }: Ending): number {
    if (wait !== undefined) return wait
    const base = Math.min(this.#retry * 2 ** Math.max(0, this.#failures - 1), Math.max(MAX_RETRY, this.#retry))
    return Math.round(base * (1 - JITTER * Math.random()))
  }

  async #open(): Promise<IncomingMessage> {
    const response = await this.#client.open(this.#path, {
      headers: {
        accept: 'text/event-stream',
        ...(this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId }),
      },
      signal: this.#signal,
    })
    const type = response.headers['content-type'] ?? 'no type'
    if (response.statusCode === 204 || type.startsWith('text/event-stream')) return response
    response.destroy()
    throw new CommandError(
      `${printAddress(this.#client.address)} answers ${type} instead of an event stream: it is not the URL of a hub.`,
      EXIT.refused,
    )
  }

  async *#readBody(response: IncomingMessage): AsyncGenerator<StreamItem, Ending> {
    const decoder = new TextDecoder()
    const blocks: EventSourceMessage[] = []
    const parser = createParser({
      onEvent: (block) => void blocks.push(block),
      onRetry: (wait) => (this.#retry = wait),
    })
    const silence = { isOver: false }
    let hasHeartbeat = false
    const onSilence = (): void => {
      silence.isOver = true
      response.destroy()
    }
    try {
      for await (const chunk of watched(response as AsyncIterable<Buffer>, this.#silence, onSilence)) {
        parser.feed(decoder.decode(chunk, { stream: true }))
        for (const block of blocks.splice(0)) {
          if (block.id !== undefined) this.#lastId = block.id
          if (block.event === 'fanfare.heartbeat') hasHeartbeat = true
          const { item, ending } = read(block)
          if (item?.kind === 'open') {
            this.#failures = 0
            this.#wasOpen = true
          }
          if (item) yield item
          if (ending) return ending
        }
      }
    } catch (err) {
      if (this.#signal.aborted) return { reason: 'interrupted' }
      if (silence.isOver) return this.#onSilence(hasHeartbeat)
      return { reason: `The stream was cut: ${reasonOf(err)}.` }
    } finally {
      response.destroy()
    }
    return { reason: 'The stream has ended.' }
  }

  #onSilence(hadHeartbeat: boolean): Ending {
    const seconds = this.#silence / 1_000
    if (!hadHeartbeat) this.#silence = Math.min(2 * this.#silence, MAX_SILENCE)
    return { reason: `The stream has been silent for ${seconds} s.` }
  }
}

/** Yields chunks, and calls `onSilence` if the next chunk takes longer than `time` milliseconds. */
async function* watched<Chunk>(
  chunks: AsyncIterable<Chunk>,
  time: number,
  onSilence: () => void,
): AsyncGenerator<Chunk> {
  const reader = chunks[Symbol.asyncIterator]()
  try {
    for (;;) {
      // runs while this subscriber waits for the hub, not while the hub waits for this subscriber
      const timer = setTimeout(onSilence, time)
      const result = await reader.next().finally(() => clearTimeout(timer))
      if (result.done) return
      yield result.value
    }
  } finally {
    await reader.return?.()
  }
}

const ENDINGS: Record<string, string> = {
  drain: 'The hub is stopping.',
  lifetime: 'The hub ended the stream, which has reached its maximum age.',
  slow: 'The hub ended the stream, because its events were read too slowly.',
  revoked: 'The stream or its token was revoked.',
  expired: 'The token has expired.',
  busy: 'The hub is busy.',
}

/** Reads a block of the stream: an item for the caller, the end of the stream, or neither. */
function read({ event: type, data }: EventSourceMessage): { item?: StreamItem; ending?: Ending } {
  switch (type) {
    case 'fanfare.open':
      return { item: { kind: 'open', ...(JSON.parse(data) as { connection: string; topics: string[] }) } }
    case 'fanfare.live':
      return { item: { kind: 'live' } }
    case 'fanfare.gap':
      return {
        item: {
          kind: 'gap',
          ...{ after: null, ...(JSON.parse(data) as { reason: string; oldest: string | null }) },
        },
      }
    case 'fanfare.heartbeat':
      return {}
    case 'fanfare.close': {
      const { reason, retry } = JSON.parse(data) as { reason: string; retry?: number }
      return {
        ending: {
          reason: ENDINGS[reason] ?? `The hub ended the stream (${reason}).`,
          ...(retry === undefined ? {} : { wait: retry }),
        },
      }
    }
    case 'fanfare.end': {
      const { status } = JSON.parse(data) as { status: string }
      return { ending: { reason: `The topic has ended (${status}).`, isFinal: true } }
    }
    default:
      return { item: { kind: 'event', type, data } }
  }
}
