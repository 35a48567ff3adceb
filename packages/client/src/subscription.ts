/**
 * One subscription, and where its events come from. Usually that is the stream that it shares with the others of its
 * lane. A subscription whose position is behind that stream (it begins in the past, its handler was slow, or a message
 * of another tab was lost) reads a stream of its own first, and changes over:
 *
 * 1. The shared stream has the patterns. From its cursor at that time, the mark, events for the subscription are held
 *    back. If too many are, they are dropped, and the mark moves behind them.
 * 2. The own stream delivers its events, first the past and then live ones.
 * 3. Once the own stream is live and its cursor has reached the mark, it is ended, and the events that were held back
 *    and lie behind its cursor are delivered. Nothing is missing: the own stream has brought everything up to its
 *    cursor, and everything after the mark was held back. Nothing is doubled: what lies up to the cursor is dropped.
 *
 * The own stream reaches the mark, since every stream reaches the head of the log, and the mark is a part of the log
 * that has been read already.
 */
import { createDelivery } from './delivery.js'
import { furthest, reaches } from './cursor.js'
import { report } from './errors.js'
import type { Lane } from './lane.js'
import type { Block } from './parser.js'
import { END, GAP, OPEN, openReader, type Reader } from './reader.js'
import type { Query } from './stream.js'
import { matcherOf } from './topic.js'
import type { Gap, Handler, HubEvent, HubState, SubscribeOptions } from './types.js'

/** The maximum number of events that are held back. */
const MAX_HELD_BACK = 1_000

export interface InnerOptions extends SubscribeOptions {
  /** Whether the snapshot is loaded after each reconnect, because the events are ephemeral. */
  reloads?: boolean
}

export interface SubscriptionLink {
  onHandled(event: HubEvent): void
  /** The shared stream is another one. */
  onReopened(): void
  /** Takes a gap that no option takes. */
  onGap(gap: Gap): void
  /** @returns whether there is a listener */
  onError(error: unknown): boolean
}

export interface Subscription {
  readonly patterns: readonly string[]
  /** Whether the shared stream should have its patterns now. */
  isWaiting(): boolean
  /** Returns the query of a stream that begins where the subscription is; `undefined`: it begins now. */
  start(): Query | undefined
  /** Takes the shared stream as the source if the positions allow it; otherwise opens a stream of its own. */
  settle(): void
  /** Takes the shared stream as the source: it begins where the subscription does. */
  attach(): void
  /** Leaves the sources at the current position. */
  leave(): void
  /** The shared stream is another one: ephemeral events may have been missed. */
  reopened(): void
  /** Takes an event of the shared stream. */
  take(event: HubEvent): void
  /** Takes a gap of the shared stream, and the cursor behind it, if the stream's cursor was reset. */
  takeGap(gap: Gap, cursor: string | undefined): void
  /** Ends it because its topics are complete. */
  finish(end?: string): void
  /** Ends it because of a refusal. */
  fail(error: unknown): void
  /** Tells the state if it has changed. */
  update(): void
  stop(): void
}

/** @param cursor the position; @param begin the query of the first stream, if there is no position */
export function createSubscription(
  lane: Lane,
  patterns: readonly string[],
  handler: Handler<never>,
  options: InnerOptions,
  cursor: string | undefined,
  begin: Query | undefined,
  link: SubscriptionLink,
): Subscription {
  const { snapshot, onGap, reloads } = options
  const types = options.type === undefined ? undefined : [options.type].flat()
  const matchers = patterns.map(matcherOf)
  let isAttached = false
  /** Whether the handler is so slow that the subscription has left its stream. */
  let isParked = false
  let mark: string | undefined
  let heldBack: HubEvent[] = []
  let reader: Reader | undefined
  let readerState: HubState = lane.state
  let loading: HubState | undefined
  let needsSnapshot = snapshot && !cursor && !begin
  /** Set once nothing more arrives. */
  let over: HubState | undefined
  /** Whether the queue still has events of topics that are complete. */
  let isDraining = false
  let told: HubState | undefined

  const delivery = createDelivery(handler, snapshot, {
    onDrained() {
      isParked = false
      lane.changed()
      self.settle()
    },
    onBehind(behind) {
      delivery.clear()
      self.leave()
      cursor = behind
      lane.changed()
      self.settle()
    },
    onHandled: link.onHandled,
    onError(error) {
      if (options.cursor === undefined) tell(error)
      else self.fail(error) // what follows must not be acknowledged
    },
    onRefused: (error) => self.fail(error),
    onLoading(state) {
      loading = state
      self.update()
    },
  })

  function tell(error: unknown): void {
    if (options.onError) options.onError(error)
    else if (!link.onError(error)) report(error)
  }

  function selects({ topic, type }: HubEvent): boolean {
    if (!matchers.some((match) => match(topic))) return false
    if (type?.startsWith('fanfare.')) return options.presence === true
    return !types || (type !== undefined && types.includes(type))
  }

  /** Delivers an event that lies behind the position. Leaves the stream if the queue is full. */
  function deliver(event: HubEvent): void {
    if (over || isParked || reaches(cursor, event.id)) return
    if (delivery.isFull()) {
      self.leave()
      isParked = true
      lane.changed()
      self.update()
      return
    }
    cursor = event.id ?? cursor
    delivery.event(event)
  }

  function tellGap(gap: Gap): void {
    if (onGap) delivery.after(() => onGap(gap))
    if (snapshot) delivery.load(cursor, gap)
    else if (!onGap) link.onGap(gap)
  }

  /** Takes a block of the own stream. */
  function takeOwn({ event: name, id, data = '{}' }: Block): void {
    const content = JSON.parse(data) as unknown
    if (name === undefined) {
      if (selects(content as HubEvent)) deliver(content as HubEvent)
    } else if (name === GAP) {
      cursor = id ?? cursor
      tellGap(content as Gap)
    } else if (name === END) self.finish((content as { status?: string }).status)
    if (!reader) return // it has been parked, or has ended
    cursor = furthest(cursor, id)
    if (name !== OPEN && readerState.status === 'live' && reaches(cursor, mark)) changeOver(reader)
  }

  function changeOver(own: Reader): void {
    reader = undefined
    own.stop()
    for (const event of heldBack.splice(0)) deliver(event)
    if (over || isParked) return
    mark = undefined
    isAttached = true
    self.update()
  }

  function openOwn(): void {
    readerState = { status: 'connecting' }
    reader = openReader(lane.http, {
      query: () => ({ ...lane.query, topic: patterns, ...self.start() }),
      onBlock: takeOwn,
      onState(state) {
        readerState = state
        self.update()
      },
      onOver: (error) => (error ? self.fail(error) : self.finish()),
    })
  }

  function stateNow(): HubState {
    if (over && !isDraining) return over
    if (loading) return loading
    if (isParked) return { status: 'catching-up', reason: 'behind' }
    if (reader) return readerState
    return isAttached || isDraining || lane.state.status !== 'live' ? lane.state : { status: 'connecting' }
  }

  function close(state: HubState): void {
    self.leave()
    over = state
    lane.subscriptions.delete(self)
    lane.changed()
  }

  /** Closes, and drops what waits for the handler. */
  function abandon(state: HubState): void {
    close(state)
    delivery.stop()
    self.update()
  }

  const self: Subscription = {
    patterns,
    isWaiting: () => !over && !isParked,
    start: () => (cursor === undefined ? begin : { lastEventId: cursor }),
    settle() {
      if (over || isParked || isAttached || !patterns.every((pattern) => lane.held.has(pattern))) return
      if (!self.start()) {
        // a stream that catches up brings events that were published before the subscription
        if (lane.state.status === 'live') self.attach()
      } else if (!reader && reaches(cursor, lane.cursor)) self.attach()
      else {
        mark ??= lane.cursor
        if (!reader) openOwn()
      }
      self.update()
    },
    attach() {
      isAttached = true
      cursor ??= lane.cursor
      if (needsSnapshot) delivery.load(cursor)
      needsSnapshot = false
      self.update()
    },
    leave() {
      if (isAttached) cursor = furthest(cursor, lane.cursor)
      isAttached = false
      mark = undefined
      heldBack = []
      reader?.stop()
      reader = undefined
      if (!reloads) return
      cursor = undefined
      needsSnapshot = true
    },
    reopened() {
      link.onReopened()
      if (isAttached && reloads) delivery.load(cursor)
    },
    take(event) {
      if (!selects(event)) return
      if (isAttached) deliver(event)
      else if (mark !== undefined && event.id !== null && heldBack.push(event) > MAX_HELD_BACK) {
        mark = event.id
        heldBack = []
      }
    },
    takeGap(gap, reset) {
      if (isAttached) {
        cursor = reset ?? cursor
        tellGap(gap)
      } else if (mark !== undefined && reset !== undefined) {
        mark = reset
        heldBack = []
      }
    },
    finish(end) {
      if (over) return
      isDraining = true
      close({ status: 'closed', reason: 'ended', end })
      delivery.after(() => {
        isDraining = false
        delivery.stop()
        self.update()
      })
    },
    fail(error) {
      if (over) return
      abandon({ status: 'closed', reason: 'refused', error })
      tell(error)
    },
    update() {
      const now = stateNow()
      if (now.status === told?.status && now.reason === told.reason && now.error === told.error) return
      told = now
      options.onState?.(now)
    },
    stop() {
      if (over && !isDraining) return
      isDraining = false
      abandon({ status: 'closed', reason: 'stopped' })
    },
  }
  return self
}
