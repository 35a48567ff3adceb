/** Repeats a request while the hub refuses it temporarily. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Process } from './command.js'
import { RefusalError, UnreachableError } from './http-client.js'

/** The wait after a lost connection, in milliseconds. */
const RECONNECT = 1_000

export interface RetryOptions {
  /** How long to repeat the request, in milliseconds. */
  time: number
  /** Whether a lost or refused connection is temporary: the hub has answered before. */
  isConnected?: boolean
  /** Ends the waiting. */
  signal?: AbortSignal
  process: Pick<Process, 'stderr'>
}

/**
 * Sends a request until the hub accepts it, and says on standard error why it waits.
 * @throws the last error if it is final, or if the time has passed
 */
export async function untilAccepted<Answer>(
  send: () => Promise<Answer>,
  { time, isConnected = false, signal, process: { stderr } }: RetryOptions,
): Promise<Answer> {
  const end = performance.now() + time
  let told: string | undefined
  for (;;) {
    try {
      return await send()
    } catch (err) {
      const wait = waitAfter(err, isConnected)
      if (wait === undefined || signal?.aborted || performance.now() + wait > end) throw err
      const { message } = err as Error
      if (message !== told) stderr.write(`${message} Trying again.\n`)
      told = message
      await delay(wait, undefined, signal && { signal }).catch(() => undefined) // the next attempt is the last then
    }
  }
}

function waitAfter(err: unknown, isConnected: boolean): number | undefined {
  if (err instanceof RefusalError) return err.retryAfter
  return err instanceof UnreachableError && isConnected ? RECONNECT : undefined
}
