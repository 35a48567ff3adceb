/** How many clients the hub has. */
import { useEffect, useState } from 'react'
import type { Status } from '../status.js'

/** Between two questions, in milliseconds. */
const EVERY = 2_000

/**
 * Asks the example's server (`GET /status`) again and again while the page can be seen, and at once when the page
 * itself has come or gone. Not the hub itself: of the six connections that a browser has for a server (HTTP/1.1),
 * streams in six tabs leave none.
 * @param status that of the page's own stream
 * @returns `undefined` while it is not known
 */
export function useClients(status: Status): number | undefined {
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
