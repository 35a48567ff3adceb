/**
 * Hands the events of one subscription to its handler, one after the other, and loads its snapshots in between. The
 * queue is bounded: once it is full, the subscription leaves its stream, and reads from its cursor when the queue is
 * empty.
 */
import { backoff, delay } from './backoff.js'
import { reaches } from './cursor.js'
import { isFinal } from './errors.js'
import type { Gap, Handler, HubEvent, HubState, SubscribeOptions } from './types.js'

/** The maximum number of events that wait for a handler. */
const MAX_QUEUE = 1_000
/** The wait after the first failure of a snapshot, in milliseconds. */
const RETRY = 1_000

export interface DeliveryLink {
  /** The queue was full, and is empty again. */
  onDrained(): void
  /** A snapshot has the events up to a cursor before the queued events. Those after it have to be read again. */
  onBehind(cursor: string): void
  /** The handler is done with an event. */
  onHandled(event: HubEvent): void
  /** The handler has thrown. */
  onError(error: unknown): void
  /** A snapshot has failed for good. */
  onRefused(error: unknown): void
  /** @param state `undefined`: no snapshot is being loaded */
  onLoading(state: HubState | undefined): void
}

export interface Delivery {
  isFull(): boolean
  /** Call only if the queue is not full. */
  event(event: HubEvent): void
  /**
   * Loads a snapshot, and delivers later events once it is loaded.
   * @param position the cursor of the subscription: later events follow in the queue
   */
  load(position: string | undefined, gap?: Gap): void
  /** Calls a function when everything before it has been handled. */
  after(task: () => void): void
  /** Drops the queue. */
  clear(): void
  stop(): void
}

export function createDelivery(
  handler: Handler<never>,
  snapshot: SubscribeOptions['snapshot'],
  link: DeliveryLink,
): Delivery {
  const over = new AbortController()
  const { signal } = over
  let queue: (() => unknown)[] = []
  let isBusy = false
  let wasFull = false
  /** The latest snapshot has the events up to this cursor. */
  let covered: string | undefined

  const isOver = (): boolean => signal.aborted

  function add(task: () => unknown): void {
    queue.push(task)
    drain()
  }

  /** Runs the queued tasks until one returns a promise. */
  function drain(): void {
    while (!isBusy && !signal.aborted) {
      const task = queue.shift()
      if (!task) break
      isBusy = true // a handler may cause further events
      let result: unknown
      try {
        result = task()
      } catch (error) {
        link.onError(error)
      }
      if (isThenable(result)) {
        const done = (): void => {
          isBusy = false
          drain()
        }
        void result.then(undefined, (error: unknown) => isOver() || link.onError(error)).then(done)
        return
      }
      isBusy = false
    }
    if (!isBusy && wasFull && !signal.aborted) {
      wasFull = false
      link.onDrained()
    }
  }

  function handle(event: HubEvent): unknown {
    if (reaches(covered, event.id)) return
    const result = handler(event as HubEvent<never>)
    if (!isThenable(result)) return link.onHandled(event)
    return result.then(() => link.onHandled(event))
  }

  async function load(position: string | undefined, gap: Gap | undefined): Promise<void> {
    link.onLoading({ status: 'catching-up', reason: 'snapshot' })
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const cursor = await snapshot?.({ gap, signal })
        if (isOver()) return
        link.onLoading(undefined)
        if (typeof cursor !== 'string') return
        covered = cursor
        if (position !== undefined && !reaches(cursor, position)) link.onBehind(cursor)
        return
      } catch (error) {
        if (isOver()) return
        if (isFinal(error)) return link.onRefused(error)
        const retryIn = backoff(RETRY, failures)
        link.onLoading({ status: 'waiting', reason: 'snapshot', error, retryIn })
        await delay(retryIn, signal)
      }
    }
  }

  return {
    isFull: () => (wasFull ||= queue.length >= MAX_QUEUE),
    event: (event) => add(() => handle(event)),
    load: (position, gap) => add(() => load(position, gap)),
    after: add,
    clear: () => (queue = []),
    stop() {
      over.abort()
      queue = []
    },
  }
}

function isThenable(value: unknown): value is Promise<unknown> {
  return typeof (value as Promise<unknown> | undefined)?.then === 'function'
}
