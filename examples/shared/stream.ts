/**
 * A stream that outlives its URL. An `EventSource` reconnects by itself, always with the same URL. It stops for good
 * when the hub refuses that URL, because its ticket, session or token has expired. This stream then opens a new
 * `EventSource` with a new URL, from the last id.
 */
import type { Status } from './status.js'

export interface StreamOptions {
  /** Returns the URL of the next `EventSource`. Called again after a delay if it rejects. */
  url: () => Promise<string>
  /** Whether the hub's cookie is sent. */
  withCredentials?: boolean
  /** The listeners of events, by type. */
  on: Record<string, (event: MessageEvent<string>) => void>
  /** @param reason why there is no stream, if known */
  onStatus: (status: Status, reason?: string) => void
}

export interface Stream {
  /** Ends the stream. No function of the options is called afterwards. */
  close(): void
}

/**
 * The maximum wait before the first try and before any later one, in milliseconds. The maximum doubles with each try,
 * and the wait is drawn at random below it (full jitter).
 */
const WAIT = { first: 1_000, most: 15_000 }
/** The hub's own events with an id. */
const MARKS = ['fanfare.open', 'fanfare.live', 'fanfare.heartbeat']

export function openStream({ url, withCredentials = false, on, onStatus }: StreamOptions): Stream {
  let source: EventSource | undefined
  let lastId = ''
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let isClosed = false

  async function open(): Promise<void> {
    const address = new URL(await url())
    if (isClosed) return
    if (lastId !== '') address.searchParams.set('lastEventId', lastId)
    const opened = (source = new EventSource(address, { withCredentials }))
    for (const type of new Set([...MARKS, ...Object.keys(on)])) {
      opened.addEventListener(type, (event: MessageEvent<string>) => {
        lastId = event.lastEventId
        on[type]?.(event)
      })
    }
    opened.addEventListener('fanfare.close', ({ data }: MessageEvent<string>) => {
      if ((JSON.parse(data) as { reason: string }).reason !== 'expired') return
      opened.close() // the hub would refuse its URL
      again()
    })
    opened.addEventListener('open', () => {
      failures = 0
      onStatus('live')
    })
    opened.addEventListener('error', () => {
      if (opened.readyState === EventSource.CLOSED) again()
      else onStatus('reconnecting')
    })
  }

  function again(reason?: string): void {
    if (isClosed) return
    onStatus('reconnecting', reason)
    timer = setTimeout(start, Math.random() * Math.min(WAIT.most, WAIT.first * 2 ** failures++))
  }

  function start(): void {
    open().catch((err: unknown) => again(err instanceof Error ? err.message : String(err)))
  }

  onStatus('connecting')
  start()
  return {
    close() {
      isClosed = true
      clearTimeout(timer)
      source?.close()
    },
  }
}

const GAPS: Record<string, string> = {
  expired: 'Events are missing here: the hub no longer keeps them.',
  epoch: 'Events may be missing here: the hub has begun a new log.',
}

/** Returns a text for users about a gap (`fanfare.gap`). */
export function wordsOfGap({ data }: MessageEvent<string>): string {
  const { reason } = JSON.parse(data) as { reason: string }
  return GAPS[reason] ?? 'Events may be missing here.'
}
