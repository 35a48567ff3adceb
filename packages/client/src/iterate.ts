/** The loop of an async iterable over the events of a subscription. It reads the next event when it is asked for it. */
import type { HubEvent, HubState, Stop, SubscribeOptions } from './types.js'

export interface EventsOptions extends Omit<SubscribeOptions, 'onState' | 'onError'> {
  /** Ends the loop, without an error. */
  signal?: AbortSignal
}

/** A loop, and what its subscription tells it. */
export interface Loop<Data> extends Required<Pick<AsyncIterator<HubEvent<Data>, undefined>, 'next' | 'return'>> {
  /** Takes the next event. Resolves once the loop is done with it. */
  take(event: HubEvent<Data>): Promise<void>
  onState(state: HubState): void
  onError(error: unknown): void
}

/**
 * Returns a loop. It ends when its topics are complete, when the signal is aborted and when the hub's client is closed.
 * It throws the HubError of a final refusal.
 * @param stop ends the subscription
 */
export function createLoop<Data>(stop: Stop, signal: AbortSignal | undefined): Loop<Data> {
  /** The next event, once there is one. */
  let event: HubEvent<Data> | undefined
  let isOver = false
  let failure: { error: unknown } | undefined
  /** Continues the loop. */
  let wake: (() => void) | undefined
  /** Continues the subscription: the loop is done with its event. */
  let release: (() => void) | undefined

  function end(): void {
    isOver = true
    signal?.removeEventListener('abort', end)
    stop()
    wake?.()
  }
  signal?.addEventListener('abort', end)
  if (signal?.aborted) end()

  return {
    take(next) {
      event = next
      wake?.()
      return new Promise((resolve) => (release = resolve))
    },
    onState({ status }) {
      if (status === 'closed') end()
    },
    onError(error) {
      failure = { error }
      end()
    },
    async next() {
      release?.()
      release = undefined
      while (!event && !isOver) await new Promise<void>((resolve) => (wake = resolve))
      const value = event
      event = undefined
      if (value && !signal?.aborted) return { done: false, value }
      if (failure) {
        const { error } = failure
        failure = undefined
        throw error
      }
      return { done: true, value: undefined }
    },
    async return() {
      end() // the event of a loop that is left, perhaps by an error, does not count as handled
      return { done: true, value: undefined }
    },
  }
}
