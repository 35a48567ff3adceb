/** Keeps the stream of a reader open: notices that it is dead, and waits before the next attempt. */
import { backoff, delay } from './backoff.js'
import { HubError } from './errors.js'
import type { Http } from './http.js'
import { HEARTBEAT, OPEN, type Ending, type HubBlock } from './reader.js'
import type { HubState } from './types.js'
import { listenForWake, startWatchdog, type Rhythm, type Watchdog } from './watchdog.js'

export interface Upkeep {
  /** An attempt begins. It is aborted if the stream is dead. */
  begin(attempt: AbortController): void
  /** A piece of the stream has arrived. */
  seen(): void
  /** A block has arrived. */
  took(name: HubBlock['name']): void
  /**
   * Waits before the next attempt, and tells the state.
   * @param ending why the last attempt has ended; `undefined`: it was aborted
   * @param retry the wait that the hub has asked for with `retry:`, in milliseconds
   */
  wait(ending: Ending | undefined, retry: number): Promise<void>
  /** Ends the wait. */
  proceed(): void
}

/**
 * @param signal aborted when no attempt follows
 * @param restart ends the attempt, and begins the next one at once
 */
export function createUpkeep(
  { options, tokens }: Http,
  signal: AbortSignal,
  onState: (state: HubState) => void,
  restart: () => void,
): Upkeep {
  const rhythm: Rhythm = { longest: 0, misses: 0 }
  let watchdog: Watchdog | undefined
  let isSilent = false
  let failures = 0
  let waiting: AbortController | undefined
  /** Whether the hub itself has said how long to wait. */
  let isTold = false

  /** The hub draws `retry:` at random, so the first wait is the hub's. Later ones are longer. */
  function nextWait(retry: number): number {
    const ceiling = options.maxWait
    return failures === 0 ? Math.min(retry, ceiling ?? Infinity) : backoff(retry, failures, ceiling)
  }

  listenForWake(signal, (isOnline) => {
    if (waiting) {
      if (!isTold) waiting.abort()
    } else if (isOnline) restart()
    else watchdog?.check()
  })
  signal.addEventListener('abort', () => watchdog?.stop())

  return {
    begin(attempt) {
      watchdog?.stop()
      isSilent = false
      if (signal.aborted) return
      const onSilence = (): void => {
        isSilent = true
        attempt.abort()
      }
      watchdog = startWatchdog(rhythm, onSilence, options.silence)
    },
    seen: () => watchdog?.seen(),
    took(name) {
      if (name === HEARTBEAT) watchdog?.beat()
      if (name === OPEN) failures = 0
    },
    async wait(ending, retry) {
      watchdog?.stop()
      if (!ending && !isSilent) return // a restart
      const state = isSilent ? SILENT : stateOf(ending!)
      if (state.reason === 'expired') tokens.drop()
      isTold = state.retryIn !== undefined
      // the stream was dead already while its silence was measured
      if (!isSilent || failures > 0) {
        waiting = new AbortController()
        const retryIn = state.retryIn ?? nextWait(retry)
        onState({ ...state, retryIn })
        await delay(retryIn, waiting.signal)
        waiting = undefined
      }
      failures++
    },
    proceed: () => waiting?.abort(),
  }
}

const SILENT: HubState = { status: 'waiting', reason: 'silence' }

/** What is no HubError is thrown by the function that provides the token. */
function stateOf(ending: Ending): HubState {
  const { reason = 'network', retry, error } = ending
  if (!('error' in ending)) return { status: 'waiting', reason, retryIn: retry }
  if (!(error instanceof HubError)) return { status: 'waiting', reason: 'token', error }
  const { status, code, retryAfter } = error
  return { status: 'waiting', reason: status === 0 ? reason : code, error, retryIn: retryAfter }
}
