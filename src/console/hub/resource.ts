/** Fetches a resource of the hub for a page, and polls it while the page is open and its tab can be seen. */
import { useSignal, type Signal } from '@preact/signals'
import { useCallback, useEffect, useRef } from 'preact/hooks'
import { call, messageOf, Refusal } from './api.js'

/** The delay before a failed request is repeated, in milliseconds, for a resource without an interval. */
const RETRY = 3_000

export interface Resource<T> {
  value: Signal<T | undefined>
  /** Whether the value belongs to the current path and query, not to earlier ones. */
  isCurrent: boolean
  /** The message of the last failure. */
  error: Signal<string | undefined>
  /** Whether the hub answered 404. */
  isMissing: Signal<boolean>
  /** Whether the hub answered 403: the token lacks a right. */
  isForbidden: Signal<boolean>
  /** Fetches the resource now, after the answer of the request in flight, or when the tab can be seen. */
  refresh: () => void
}

/**
 * @param path `undefined`: nothing is fetched
 * @param every the delay between an answer and the next request, in milliseconds; without it, only failed requests are
 *   repeated
 */
export function useResource<T>(
  path: string | undefined,
  query: Record<string, string> = {},
  every?: number,
): Resource<T> {
  const value = useSignal<T | undefined>(undefined)
  const answered = useSignal<string | undefined>(undefined)
  const error = useSignal<string | undefined>(undefined)
  const isMissing = useSignal(false)
  const isForbidden = useSignal(false)
  const key = JSON.stringify([path, query])
  const ask = useRef<() => void>(() => undefined)

  useEffect(() => {
    if (path === undefined) return
    const asking = keepAsking(async (signal) => {
      try {
        const body = await call<T>(path, { query, signal })
        if (signal.aborted) return undefined
        value.value = body
        answered.value = key
        error.value = undefined
        isMissing.value = false
        isForbidden.value = false
        return every
      } catch (err) {
        if (signal.aborted) return undefined
        error.value = messageOf(err)
        isMissing.value = err instanceof Refusal && err.status === 404
        isForbidden.value = err instanceof Refusal && err.status === 403
        return err instanceof Refusal && err.isFinal ? every : (every ?? RETRY)
      }
    })
    ask.current = asking.now
    return asking.stop
  }, [key, every])

  const refresh = useCallback(() => ask.current(), [])
  return { value, isCurrent: answered.value === key, error, isMissing, isForbidden, refresh }
}

/**
 * Asks at once if the tab can be seen, and then as often as the answers say. One request at a time: replacing a pending
 * request would hide that the hub does not answer.
 * @param ask returns the delay before the next request, in milliseconds; `undefined`: none follows
 */
function keepAsking(ask: (signal: AbortSignal) => Promise<number | undefined>) {
  const left = new AbortController()
  let timer: number | undefined
  let isAsking = false
  let isAskedAgain = false
  /** Whether the next request waits until the tab can be seen. */
  let isWaiting = false
  const attempt = async () => {
    isAskedAgain = isAsking
    if (isAsking) return
    isAsking = true
    window.clearTimeout(timer)
    const next = await ask(left.signal)
    if (left.signal.aborted) return
    isAsking = false
    if (isAskedAgain) void attempt()
    else if (next !== undefined) timer = window.setTimeout(now, next)
  }
  const now = () => {
    isWaiting = document.hidden
    if (!isWaiting) void attempt()
  }
  const onVisibility = () => {
    if (isWaiting) now()
  }
  now()
  document.addEventListener('visibilitychange', onVisibility)
  return {
    now,
    stop: () => {
      document.removeEventListener('visibilitychange', onVisibility)
      window.clearTimeout(timer)
      left.abort()
    },
  }
}
