/** The number of clients of the hub. */
import type { HubState } from 'fanfare-client'
import { useEffect, useState } from 'react'

/** The interval between two requests, in milliseconds. */
const EVERY = 2_000

/**
 * Polls the example's server (`GET /status`) while the page is visible, and at once when the status of the page's
 * stream changes. It does not ask the hub itself: a browser opens only six HTTP/1.1 connections per server, and streams
 * in six tabs use all of them.
 * @param state the state of the page's stream
 * @returns `undefined` while the number is unknown
 */
export function useClients({ status }: HubState): number | undefined {
  const [clients, setClients] = useState<number>()

  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    async function ask(): Promise<void> {
      if (document.hidden) return
      const answer = await read(signal)
      if (!signal.aborted) setClients(answer)
    }
    void ask()
    const timer = setInterval(() => void ask(), EVERY)
    document.addEventListener('visibilitychange', () => void ask(), { signal })
    return () => {
      leaving.abort()
      clearInterval(timer)
    }
  }, [status])

  return clients
}

async function read(signal: AbortSignal): Promise<number | undefined> {
  try {
    const response = await fetch('status', { signal, cache: 'no-store' })
    return response.ok ? ((await response.json()) as { clients: number }).clients : undefined
  } catch {
    return undefined
  }
}
