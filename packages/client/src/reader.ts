/** Keeps a stream open: reads it, waits, and opens it again from the last id, until the hub refuses it for good. */
import { backoff, delay } from './backoff.js'
import { isFinal, HubError } from './errors.js'
import type { Http } from './http.js'
import type { Block } from './parser.js'
import { Complete, readStream, type Query } from './stream.js'
import type { HubState } from './types.js'
import { listenForWake, startWatchdog, type Rhythm, type Watchdog } from './watchdog.js'

export const OPEN = 'fanfare.open'
export const LIVE = 'fanfare.live'
export const GAP = 'fanfare.gap'
export const END = 'fanfare.end'
const CLOSE = 'fanfare.close'
const HEARTBEAT = 'fanfare.heartbeat'

/** The wait after the first failure, in milliseconds, until the hub sends `retry:`. */
const RETRY = 2_000

export interface ReaderLink {
  /** Returns the query of the next request. */
  query(): Query
  /** Called with each block but heartbeats without an id. The state is set before. */
  onBlock(block: Block): void
  onState(state: HubState): void
  /** Called once, when no attempt follows. @param error `undefined`: every topic is complete (204) */
  onOver(error: HubError | undefined): void
}

export interface Reader {
  /** Opens the stream again at once, with the current query. */
  restart(): void
  stop(): void
}

export function openReader(http: Http, link: ReaderLink): Reader {
  const over = new AbortController()
  const rhythm: Rhythm = { longest: 0, misses: 0 }
  let attempt = new AbortController()
  let watchdog: Watchdog | undefined
  const isOver = (): boolean => over.signal.aborted
  let failures = 0
  let retry = RETRY
  /** Ends the current wait; `undefined`: there is none. */
  let proceed: (() => void) | undefined
  /** Whether the hub itself has said how long to wait. */
  let isTold = false

  /** Opens one stream and reads it to its end. Returns why it has ended, and how long to wait. */
  async function read(): Promise<HubState | undefined> {
    const { signal } = (attempt = new AbortController())
    let ending: HubState = { status: 'waiting', reason: 'network' }
    let isOpen = false as boolean // set by a listener
    const dog = (watchdog = startWatchdog(rhythm, () => {
      ending = { status: 'waiting', reason: 'silence' }
      attempt.abort()
    }))
    link.onState({ status: 'connecting' })
    const query = link.query()
    try {
      const reading = readStream(http, query, signal, {
        onRetry: (ms) => (retry = ms),
        onActivity: () => dog.seen(),
        onBlock(block) {
          if (signal.aborted) return
          const { event, data = '{}' } = block
          if (event === HEARTBEAT) dog.beat()
          if (event === CLOSE) {
            const { reason, retry: wait } = JSON.parse(data) as { reason: string; retry?: number }
            ending = { status: 'waiting', reason, retryIn: wait }
            if (reason === 'expired') http.tokens.drop()
            return
          }
          if (event === OPEN && !isOpen) {
            isOpen = true
            failures = 0
            link.onState({ status: isPast(query) ? 'catching-up' : 'live' })
          }
          if (event === LIVE) link.onState({ status: 'live' })
          link.onBlock(block)
        },
      })
      await Promise.race([reading, aborted(signal)]) // the function that provides a token knows no signal
    } catch (error) {
      if (error instanceof Complete) return { status: 'closed' }
      if (isFinal(error)) return { status: 'closed', error }
      if (!signal.aborted && !isOpen) ending = reasonOf(error)
    } finally {
      dog.stop()
    }
    return signal.aborted && ending.reason !== 'silence' ? undefined : ending
  }

  async function run(): Promise<void> {
    while (!isOver()) {
      const ending = await read()
      if (isOver()) return
      if (!ending) continue // a restart
      if (ending.status === 'closed') {
        stop()
        link.onOver(ending.error as HubError | undefined)
        return
      }
      isTold = ending.retryIn !== undefined
      // the stream was dead already while its silence was measured
      if (ending.reason !== 'silence' || failures > 0) await wait(ending, ending.retryIn ?? nextWait())
      failures++
    }
  }

  /** The hub draws `retry:` at random, so the first wait is the hub's. Later ones are longer. */
  function nextWait(): number {
    const ceiling = http.options.maxWait
    return failures === 0 ? Math.min(retry, ceiling ?? Infinity) : backoff(retry, failures, ceiling)
  }

  async function wait(state: HubState, ms: number): Promise<void> {
    const waiting = new AbortController()
    proceed = () => waiting.abort()
    link.onState({ ...state, retryIn: ms })
    await delay(ms, waiting.signal)
    proceed = undefined
  }

  function restart(): void {
    attempt.abort()
    proceed?.()
  }

  function stop(): void {
    over.abort()
    restart()
  }

  listenForWake(over.signal, (isOnline) => {
    if (proceed) {
      if (!isTold) proceed()
    } else if (isOnline) restart()
    else watchdog?.check()
  })
  queueMicrotask(() => void run()) // the caller has the reader before its listeners are called
  return { restart, stop }
}

/**
 * Whether a stream begins with events of the past, and has `fanfare.live` after them. With a named cursor only the hub
 * knows: the stream counts as live.
 */
function isPast({ lastEventId, from, replay, cursor }: Query): boolean {
  return (lastEventId ?? (cursor === undefined ? (from ?? replay) : undefined)) !== undefined
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
}

/** Returns why a stream could not be opened. What is no HubError is thrown by the function that provides the token. */
function reasonOf(error: unknown): HubState {
  if (!(error instanceof HubError)) return { status: 'waiting', reason: 'token', error }
  const { status, code, retryAfter } = error
  return { status: 'waiting', reason: status === 0 ? 'network' : code, error, retryIn: retryAfter }
}
