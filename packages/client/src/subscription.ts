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
 *
 * The end of a finite topic takes the same way as an event of the topic, so that it never overtakes one.
 */
import { createDelivery } from './delivery.js'
import { furthest, reaches } from './cursor.js'
import { report } from './errors.js'
import type { Lane } from './lane.js'
import { later } from './later.js'
import type { openOwnStream, OwnStream, OwnStreamUser } from './own-stream.js'
import { END } from './reader.js'
import type { Query } from './stream.js'
import { matcherOf } from './topic.js'
import type { Gap, Handler, HubEvent, HubState, SubscribeOptions } from './types.js'

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
  /** Aborted once it is over, and nothing waits for the handler. */
  readonly signal: AbortSignal
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
  /** Takes an event, or the end of a topic. @param isOwn whether it is from the own stream */
  take(event: HubEvent, isOwn?: boolean): void
  /** Takes a gap, and the cursor behind it, if the stream's cursor was reset. */
  takeGap(gap: Gap, cursor: string | undefined, isOwn?: boolean): void
  /** The topics are complete, by the shared stream. @param isAsked whether that began where the subscription does */
  complete(isAsked: boolean): void
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
  const { snapshot, onGap, onEnd, reloads } = options
  const types = options.type === undefined ? undefined : [options.type].flat()
  const matchers = patterns.map(matcherOf)
  /** The topics that are not complete yet. Those that a pattern matches are not known. */
  const open = new Set(patterns)
  let isAttached = false
  /** Whether the handler is so slow that the subscription has left its stream. */
  let isParked = false
  /** Whether nothing more comes from the shared stream, since its topics are complete. */
  let isAlone = false
  let own: OwnStream | undefined
  let openStream: typeof openOwnStream | undefined
  let loading: Promise<void> | undefined
  let snapshotState: HubState | undefined
  let needsSnapshot = snapshot && !cursor && !begin
  /** Set once nothing more arrives. */
  let over: HubState | undefined
  /** Whether the queue still has events of topics that are complete. */
  let isDraining = false
  let told: HubState | undefined

  const delivery = createDelivery(handler, snapshot, {
    onDrained: comeBack,
    onBehind(behind) {
      delivery.clear()
      leave()
      cursor = behind
      comeBack()
    },
    onHandled: link.onHandled,
    onError(error) {
      if (options.cursor === undefined) tell(error)
      else self.fail(error) // what follows must not be acknowledged
    },
    onRefused: (error) => self.fail(error),
    onLoading(state) {
      snapshotState = state
      self.update()
    },
  })

  /** Looks for a source again. */
  function comeBack(): void {
    isParked = false
    lane.changed()
    self.settle()
  }

  function tell(error: unknown): void {
    if (options.onError) options.onError(error)
    else if (!link.onError(error)) report(error)
  }

  function selects({ topic, type }: HubEvent): boolean {
    if (!matchers.some((match) => match(topic))) return false
    if (type?.startsWith('fanfare.')) return type === END || options.presence === true
    return !types || types.includes(type!)
  }

  /** Delivers an event that lies behind the position. Leaves the stream if the queue is full. */
  function deliver(event: HubEvent): void {
    if (over || isParked || reaches(cursor, event.id)) return
    if (delivery.isFull()) {
      leave()
      isParked = true
      lane.changed()
      self.update()
      return
    }
    cursor = event.id ?? cursor
    if (event.type === END) end(event as HubEvent<{ status: string }>)
    else delivery.event(event)
  }

  function tellGap(gap: Gap): void {
    if (onGap) delivery.after(() => onGap(gap))
    if (snapshot) delivery.load(cursor, gap)
    else if (!onGap) link.onGap(gap)
  }

  function end({ topic, data }: HubEvent<{ status: string }>): void {
    if (onEnd) delivery.after(() => onEnd({ topic, end: data.status }))
    if (open.delete(topic) && open.size === 0) self.finish(data.status)
  }

  function leave(): void {
    if (isAttached) cursor = furthest(cursor, lane.cursor)
    isAttached = false
    own?.stop()
    own = undefined
    if (!reloads) return
    cursor = undefined
    needsSnapshot = true
  }

  function openOwn(): void {
    if (openStream) own = openStream(lane, self)
    else
      loading ??= later(() => import('./own-stream.js'), { timeout: Infinity }).then(({ openOwnStream }) => {
        openStream = openOwnStream
        self.settle()
      })
  }

  function stateNow(): HubState {
    if (over && !isDraining) return over
    if (snapshotState) return snapshotState
    if (isParked) return { status: 'catching-up', reason: 'behind' }
    if (own) return own.state
    return isAttached || isDraining || !(isAlone || lane.state.status === 'live')
      ? lane.state
      : { status: 'connecting' }
  }

  function close(state: HubState): void {
    leave()
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

  const self: Subscription & OwnStreamUser = {
    patterns,
    signal: delivery.signal,
    reached: (id) => own && (cursor = furthest(cursor, id)),
    changeOver(heldBack) {
      own = undefined
      for (const event of heldBack) deliver(event)
      if (over || isParked) return
      if (isAlone) return self.finish()
      isAttached = true
      self.update()
    },
    isWaiting: () => !over && !isParked && !isAlone,
    start: () => (cursor === undefined ? begin : { lastEventId: cursor }),
    settle() {
      if (over || isParked || isAttached || own) return
      if (!isAlone && !patterns.every((pattern) => lane.held.includes(pattern))) return
      // a stream that catches up brings events that were published before the subscription
      if (self.start() ? reaches(cursor, lane.cursor) : lane.state.status === 'live') self.attach()
      else if (self.start()) openOwn()
      self.update()
    },
    attach() {
      isAttached = true
      cursor ??= lane.cursor
      if (needsSnapshot) delivery.load(cursor)
      needsSnapshot = false
      self.update()
    },
    leave: () => isAlone || leave(),
    reopened() {
      link.onReopened()
      if (isAttached && reloads) delivery.load(cursor)
    },
    take(event, isOwn = isAttached) {
      if (!selects(event)) return
      if (isOwn) deliver(event)
      else own?.hold(event)
    },
    takeGap(gap, reset, isOwn = isAttached) {
      if (isOwn) {
        cursor = reset ?? cursor
        tellGap(gap)
      } else if (reset !== undefined) own?.reset(reset)
    },
    complete(isAsked) {
      if (isAttached || isAsked || !self.start()) return self.finish()
      isAlone = true
      self.settle()
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
