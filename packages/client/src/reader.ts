/** Keeps a stream open: reads it, waits, and opens it again from the last id, until the hub refuses it for good. */
import { isFinal, type HubError } from './errors.js'
import type { Http } from './http.js'
import { later } from './later.js'
import type { Block } from './parser.js'
import { readStream, type Query } from './stream.js'
import type { HubEvent, HubState } from './types.js'
import type { Upkeep } from './upkeep.js'

export const OPEN = 'fanfare.open'
export const LIVE = 'fanfare.live'
export const GAP = 'fanfare.gap'
export const END = 'fanfare.end'
const CLOSE = 'fanfare.close'
export const HEARTBEAT = 'fanfare.heartbeat'

/** The wait after the first failure, in milliseconds, until the hub sends `retry:`. */
const RETRY = 2_000

/** A block of a stream, parsed: an event of a topic, or one of the hub's own. */
export interface HubBlock {
  /** `undefined`: an event of a topic, or the end of a finite topic, which is an event of the type `fanfare.end`. */
  name: typeof OPEN | typeof LIVE | typeof GAP | typeof HEARTBEAT | typeof CLOSE | undefined
  /** The cursor. */
  id: string | undefined
  /** The HubEvent or the Gap; the connection and the topics of an open block. */
  content: unknown
}

export interface Opening {
  connection: string
  topics: string[]
}

/** Why a stream has ended; an empty one: the connection was cut. */
export interface Ending {
  /** The reason in `fanfare.close`. */
  reason?: string
  /** The wait that the hub asks for in `fanfare.close`, in milliseconds. */
  retry?: number
  /** Why the stream could not be opened. */
  error?: unknown
  /** Every topic is complete (204). */
  isComplete?: boolean
}

export interface ReaderLink {
  /** Returns the query of the next request. */
  query(): Query
  /** Called with each block. The state is set before. */
  onBlock(block: HubBlock): void
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
  let attempt = new AbortController()
  let hasAnswered = false
  let retry = RETRY
  let topics: string[] = []
  const isOver = (): boolean => over.signal.aborted

  /** The upkeep is loaded beside the first attempt. */
  let upkeep: Upkeep | undefined
  const loading = later(() => import('./upkeep.js'), { timeout: Infinity }).then(({ createUpkeep }) => {
    upkeep = createUpkeep(http, over.signal, link.onState, restart)
    upkeep.begin(attempt)
    if (hasAnswered) upkeep.seen()
    return upkeep
  })

  function parse({ event, id, topic, data = '{}' }: Block): HubBlock {
    const content = JSON.parse(data) as Opening & Partial<HubEvent>
    if (event === OPEN) topics = content.topics
    if (event !== END) return { name: event as HubBlock['name'], id, content }
    const [first, second] = topics
    const end = { id, topic: topic ?? (second ? '' : first), data: content, ...content, type: END }
    return { name: undefined, id, content: end }
  }

  /** Opens one stream and reads it to its end. Returns why it has ended; `undefined`: it was aborted. */
  async function read(): Promise<Ending | undefined> {
    const { signal } = (attempt = new AbortController())
    let ending: Ending = {}
    let isOpen = false as boolean // set by a listener
    hasAnswered = false
    upkeep?.begin(attempt)
    link.onState({ status: 'connecting' })
    const query = link.query()
    try {
      const reading = readStream(http, query, signal, {
        onRetry: (ms) => (retry = ms),
        onActivity() {
          hasAnswered = true
          upkeep?.seen()
        },
        onBlock(raw) {
          if (signal.aborted) return
          const block = parse(raw)
          const { name, content } = block
          upkeep?.took(name)
          if (name === CLOSE) {
            ending = content as Ending
            return
          }
          if (name === OPEN && !isOpen) {
            isOpen = true
            link.onState({ status: isPast(query) ? 'catching-up' : 'live' })
          }
          if (name === LIVE) link.onState({ status: 'live' })
          link.onBlock(block)
        },
      })
      // the function that provides a token knows no signal
      if (await Promise.race([reading, aborted(signal)])) ending = { isComplete: true }
    } catch (error) {
      if (!isOpen || isFinal(error)) ending = { error }
    }
    return signal.aborted ? undefined : ending
  }

  async function run(): Promise<void> {
    while (!isOver()) {
      const ending = await read()
      if (isOver()) return
      if (ending?.isComplete || isFinal(ending?.error)) {
        stop()
        return link.onOver(ending.error as HubError | undefined)
      }
      await (await loading).wait(ending, retry)
    }
  }

  function restart(): void {
    attempt.abort()
    upkeep?.proceed()
  }

  function stop(): void {
    over.abort()
    restart()
  }

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

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined)))
}
