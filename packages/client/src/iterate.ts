/** The events of a subscription as an async iterable. The next event is read when the loop asks for it. */
import type { Handler, HubEvent, HubState, Stop, SubscribeOptions } from './types.js'

export interface EventsOptions extends Omit<SubscribeOptions, 'onState' | 'onError'> {
  /** Ends the loop, without an error. */
  signal?: AbortSignal
}

/**
 * Subscribes with each loop. A loop ends when its topics are complete, when `signal` is aborted and when the hub's
 * client is closed. It throws the HubError of a final refusal.
 */
export function iterate<Data>(
  subscribe: (handler: Handler<Data>, options: SubscribeOptions) => Stop,
  { signal, ...options }: EventsOptions,
): AsyncIterable<HubEvent<Data>> {
  return {
    [Symbol.asyncIterator]() {
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
      const stop = subscribe(
        (next) => {
          event = next
          wake?.()
          return new Promise<void>((resolve) => (release = resolve))
        },
        {
          ...options,
          onState: (state: HubState) => state.status === 'closed' && end(),
          onError(error) {
            failure = { error }
            end()
          },
        },
      )
      signal?.addEventListener('abort', end)
      if (signal?.aborted) end()

      return {
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
    },
  }
}
