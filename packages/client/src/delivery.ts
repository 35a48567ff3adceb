/**
 * Hands the events of one subscription to its handler, one after the other, and loads its snapshots in between. The
 * queue is bounded: once it is full, the subscription leaves its stream, and reads from its cursor when the queue is
 * empty.
 */
import { reaches } from './cursor.js'
import { later } from './later.js'
import type { Gap, Handler, HubEvent, HubState, SubscribeOptions } from './types.js'

/** The maximum number of events that wait for a handler. */
const MAX_QUEUE = 1_000

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
  /** Aborted when it is stopped. */
  readonly signal: AbortSignal
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
    if (!isBusy) void drain()
  }

  /** Runs the queued tasks, and waits only for those that return a promise. */
  async function drain(): Promise<void> {
    isBusy = true // a handler may cause further events
    for (let task; !isOver() && (task = queue.shift());) {
      let result: unknown
      try {
        result = task()
        if (isThenable(result)) await result
      } catch (error) {
        if (!result || !isOver()) link.onError(error)
      }
    }
    isBusy = false
    if (!wasFull || isOver()) return
    wasFull = false
    link.onDrained()
  }

  function handle(event: HubEvent): unknown {
    if (reaches(covered, event.id)) return
    const result = handler(event as HubEvent<never>)
    if (!isThenable(result)) return link.onHandled(event)
    return result.then(() => link.onHandled(event))
  }

  async function load(position: string | undefined, gap: Gap | undefined): Promise<void> {
    link.onLoading({ status: 'catching-up', reason: 'snapshot' })
    const { loadSnapshot } = await later(() => import('./snapshot.js'), { timeout: Infinity, signal })
    covered = (await loadSnapshot(snapshot!, { gap, signal }, position, link)) ?? covered
  }

  return {
    signal,
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
