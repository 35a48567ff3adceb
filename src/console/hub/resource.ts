/** Something of the hub that a page shows, asked for again and again while the page is there. */
import { useSignal, type Signal } from '@preact/signals'
import { useCallback, useEffect, useRef } from 'preact/hooks'
import { call, messageOf, Refusal } from './api.js'

/** How soon what could not be had is asked for again where nothing else says when, in milliseconds. */
const RETRY = 3_000

export interface Resource<T> {
  value: Signal<T | undefined>
  /** Whether the value is the answer to what is asked now, and not to what was asked before. */
  isCurrent: boolean
  /** Why it could not be had. */
  error: Signal<string | undefined>
  /** Whether the hub says that there is no such thing (any more). */
  isMissing: Signal<boolean>
  /** Asks for it now, or again as soon as the answer that is under way is there. */
  refresh: () => void
}

/**
 * @param every how soon after an answer it is asked for again, in milliseconds; without it, only when it could not be
 *   had
 * @param path `undefined`: nothing is asked for
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
  const key = JSON.stringify([path, query])
  const ask = useRef<() => void>(() => undefined)

  useEffect(() => {
    if (path === undefined) return
    const left = new AbortController()
    let timer: number | undefined
    // One request at a time: another one in its place would hide that the hub does not answer.
    let isAsking = false
    let isAskedAgain = false
    const attempt = async () => {
      isAskedAgain = isAsking
      if (isAsking) return
      isAsking = true
      window.clearTimeout(timer)
      let next = every
      try {
        const body = await call<T>(path, { query, signal: left.signal })
        if (left.signal.aborted) return
        value.value = body
        answered.value = key
        error.value = undefined
        isMissing.value = false
      } catch (err) {
        if (left.signal.aborted) return
        error.value = messageOf(err)
        isMissing.value = err instanceof Refusal && err.status === 404
        if (!(err instanceof Refusal && err.isFinal)) next ??= RETRY
      }
      isAsking = false
      if (isAskedAgain) void attempt()
      else if (next !== undefined) timer = window.setTimeout(() => void attempt(), next)
    }
    ask.current = () => void attempt()
    ask.current()
    return () => {
      window.clearTimeout(timer)
      left.abort()
    }
  }, [key, every])

  const refresh = useCallback(() => ask.current(), [])
  return { value, isCurrent: answered.value === key, error, isMissing, refresh }
}
