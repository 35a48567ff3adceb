/** Something of the hub that a page shows, asked for again and again while the page is there. */
import { useSignal, type Signal } from '@preact/signals'
import { useCallback, useEffect, useRef } from 'preact/hooks'
import { call, messageOf, Refusal } from './api.js'

export interface Resource<T> {
  value: Signal<T | undefined>
  /** Why it could not be had. */
  error: Signal<string | undefined>
  /** Whether the hub says that there is no such thing (any more). */
  isMissing: Signal<boolean>
  /** Asks for it now. */
  refresh: () => void
}

/**
 * @param every how often it is asked for, in milliseconds
 * @param path `undefined`: nothing is asked for
 */
export function useResource<T>(path: string | undefined, query: Record<string, string> = {}, every?: number): Resource<T> {
  const value = useSignal<T | undefined>(undefined)
  const error = useSignal<string | undefined>(undefined)
  const isMissing = useSignal(false)
  const key = JSON.stringify([path, query])
  const current = useRef<AbortController | undefined>(undefined)

  const refresh = useCallback(() => {
    if (path === undefined) return
    current.current?.abort()
    const attempt = (current.current = new AbortController())
    call<T>(path, { query, signal: attempt.signal }).then((body) => {
      value.value = body
      error.value = undefined
      isMissing.value = false
    }, (err: unknown) => {
      if (attempt.signal.aborted) return
      error.value = messageOf(err)
      isMissing.value = err instanceof Refusal && err.status === 404
    })
  }, [key])

  useEffect(() => {
    refresh()
    const timer = every === undefined ? undefined : window.setInterval(refresh, every)
    return () => {
      window.clearInterval(timer)
      current.current?.abort()
    }
  }, [refresh, every])

  return { value, error, isMissing, refresh }
}
