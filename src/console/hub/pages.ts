/** A list that the hub returns in pages. The console polls it while a component shows it and the tab is visible. */
import { useSignal, type Signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { call, messageOf, Refusal } from './api.js'

/** A page of a list. */
export interface ListPage {
  more: boolean
  cursor: string | null
}

export interface Pages<Row> {
  rows: Signal<Row[] | undefined>
  more: Signal<boolean>
  error: Signal<string | undefined>
  /** Whether the hub answered 403: the token lacks a right. */
  isForbidden: Signal<boolean>
  /** Loads one more page. */
  loadMore: () => void
}

/**
 * @param member the name of the member that holds the rows of a page
 * @param every the delay between two readings of one page, in milliseconds
 */
export function usePages<Row>(path: string, query: Record<string, string>, member: string, every: number): Pages<Row> {
  const rows = useSignal<Row[] | undefined>(undefined)
  const more = useSignal(false)
  const error = useSignal<string | undefined>(undefined)
  const isForbidden = useSignal(false)
  const count = useRef(1)
  const again = useRef<() => void>(() => undefined)
  const key = JSON.stringify([path, query])

  useEffect(() => {
    count.current = 1
    const reading = keepReading(
      async (signal) => {
        try {
          const found = await readPages(path, query, member, count, signal)
          if (signal.aborted) return
          rows.value = found.rows as Row[]
          more.value = found.more
          error.value = undefined
          isForbidden.value = false
        } catch (err) {
          if (signal.aborted) return
          error.value = messageOf(err)
          isForbidden.value = err instanceof Refusal && err.status === 403
        }
      },
      () => every * count.current,
    )
    again.current = reading.now
    return reading.stop
  }, [key])

  const loadMore = () => {
    count.current++
    again.current()
  }
  return { rows, more, error, isForbidden, loadMore }
}

/** @param count the number of pages, which may grow during the read */
async function readPages(
  path: string,
  query: Record<string, string>,
  member: string,
  count: { readonly current: number },
  signal: AbortSignal,
): Promise<{ rows: unknown[]; more: boolean }> {
  const rows: unknown[] = []
  let page: (ListPage & Record<string, unknown>) | undefined
  for (let number = 0; number < count.current && page?.more !== false; number++) {
    const after: Record<string, string> = page?.cursor ? { after: page.cursor } : {}
    page = await call<ListPage & Record<string, unknown>>(path, { query: { ...query, ...after }, signal })
    rows.push(...(page[member] as unknown[]))
  }
  return { rows, more: page?.more === true }
}

/**
 * Reads at once, and then repeatedly while the tab is visible.
 * @param wait returns the time between two readings, in milliseconds
 */
function keepReading(read: (signal: AbortSignal) => Promise<void>, wait: () => number) {
  const left = new AbortController()
  let timer: number | undefined
  let isReading = false
  const attempt = async () => {
    if (isReading) return
    isReading = true
    window.clearTimeout(timer)
    await read(left.signal)
    if (left.signal.aborted) return
    isReading = false
    timer = window.setTimeout(now, wait())
  }
  const now = () => {
    if (!document.hidden) void attempt()
  }
  document.addEventListener('visibilitychange', now)
  void attempt()
  return {
    now,
    stop: () => {
      document.removeEventListener('visibilitychange', now)
      window.clearTimeout(timer)
      left.abort()
    },
  }
}
