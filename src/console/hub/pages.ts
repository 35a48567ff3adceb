/** A list of the hub that comes in pages, and is polled while the page is open and its tab can be seen. */
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
  /** Loads one page more. */
  loadMore: () => void
}

/**
 * @param member the member of a page that has its rows
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
    const left = new AbortController()
    let timer: number | undefined
    let isReading = false
    count.current = 1
    const read = async () => {
      if (isReading) return
      isReading = true
      window.clearTimeout(timer)
      const found: Row[] = []
      try {
        let page: (ListPage & Record<string, unknown>) | undefined
        for (let number = 0; number < count.current && page?.more !== false; number++) {
          const after: Record<string, string> = page?.cursor ? { after: page.cursor } : {}
          page = await call<ListPage & Record<string, unknown>>(path, {
            query: { ...query, ...after },
            signal: left.signal,
          })
          found.push(...(page[member] as Row[]))
        }
        rows.value = found
        more.value = page?.more === true
        error.value = undefined
        isForbidden.value = false
      } catch (err) {
        if (left.signal.aborted) return
        error.value = messageOf(err)
        isForbidden.value = err instanceof Refusal && err.status === 403
      }
      isReading = false
      timer = window.setTimeout(poll, every * count.current)
    }
    const poll = () => {
      if (!document.hidden) void read()
    }
    again.current = poll
    document.addEventListener('visibilitychange', poll)
    void read()
    return () => {
      document.removeEventListener('visibilitychange', poll)
      window.clearTimeout(timer)
      left.abort()
    }
  }, [key])

  const loadMore = () => {
    count.current++
    again.current()
  }
  return { rows, more, error, isForbidden, loadMore }
}
