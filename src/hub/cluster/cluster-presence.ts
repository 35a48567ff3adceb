/**
 * Presence in all processes. A subject joins with its first stream in any process, and leaves with its last. Each
 * process derives joins and leaves from its own view of all processes, and tells them to its own streams. So each
 * stream gets each join and leave once, without an agreement between the processes.
 *
 * A process follows the presence of the others only while it has streams with `presence=true`.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterMessage } from '../../cluster/cluster.js'
import { mapInTurns } from '../../event-loop/time-slice.js'
import { monotonicNow, wallNow } from '../../model/clock.js'
import type { PresenceType } from '../../model/presence-type.js'
import type { Principal } from '../../model/principal.js'
import { arrayOf, isString, shapeOf } from '../../model/shape.js'
import type { Selection } from '../../model/selection.js'
import { isPresent, mergePresent, Presence, type Present, type PresenceChange } from '../presence.js'
import type { Messenger } from './messenger.js'
import { PresenceExchange, type NodeChange } from './presence-exchange.js'
import { RemotePresence, type NodePresent } from './remote-presence.js'

/** How long the presence of the other nodes is followed after it was last needed, in milliseconds. */
const FOLLOW_TIME = 60_000
/** The longest time that a stream waits for the presence of the other nodes, in milliseconds. */
const WAIT = 1_000

interface PresentMessage extends ClusterMessage {
  kind: 'present'
  topic: string
}

export interface ClusterPresenceSource {
  messenger: Messenger
  /** How long a subject stays present after its last stream has ended, in milliseconds. */
  grace: number
  /** Tells a join or a leave to the streams of this process. */
  announce: (type: PresenceType, change: PresenceChange) => void
  /** Whether a stream of this process gets joins and leaves. */
  isWatched: () => boolean
  /** Whether another node follows presence. */
  isFollowed: () => boolean
  /** Tells the other nodes whether this node follows presence. Resolves when they know. */
  greet: () => Promise<void>
}

export class ClusterPresence {
  readonly #source: ClusterPresenceSource
  readonly #local: Presence
  readonly #remote: RemotePresence
  readonly #exchange: PresenceExchange
  /** The nodes that have gone, and when their subjects leave, on the monotonic clock. */
  readonly #gone = new Map<string, number>()
  /** Nodes whose presence has been fetched before. */
  readonly #met = new Set<string>()
  /** When the presence of the others was last needed, on the monotonic clock. */
  #neededAt = 0
  /** When this node began to follow, on the wall clock. */
  #followingSince = 0
  /** Whether streams that follow have opened. Until then, joins from before `#followingSince` are not announced. */
  #hasOpened = false
  #ready = Promise.resolve()

  constructor(source: ClusterPresenceSource) {
    const { messenger, grace, announce, isFollowed } = source
    this.#source = source
    this.#local = new Presence(grace, (type, change) => this.#changedHere(type, change))
    this.#remote = new RemotePresence(this.#local, announce)
    this.#exchange = new PresenceExchange(messenger, {
      own: () => this.#own(),
      isFollowed,
      changed: (node, change) => this.#changedThere(node, change),
      fetched: (node, present) => this.#fetched(node, present),
    })
    messenger.onRequest<PresentMessage>('present', shapeOf({ topic: isString }), ({ topic }) => this.on(topic))
  }

  /** As in `NodeState`. */
  get isFollowing(): boolean {
    return this.#exchange.isFollowing
  }

  /** As `PresenceExchange.sent`. */
  sentChanges(): number {
    return this.#exchange.sent()
  }

  /** As `Presence.moved`. */
  moved(principal: Principal, before: Selection | undefined, after: Selection | undefined): void {
    this.#local.moved(principal, before, after)
  }

  /** As `Presence.renewed`. */
  renewed(principal: Principal, selection: Selection): void {
    this.#local.renewed(principal, selection)
  }

  /**
   * Returns the subjects that are present on a topic by the streams of this process, and by those of processes that
   * have just ended.
   */
  on(topic: string): Present[] {
    const own = this.#local.on(topic)
    if (this.#gone.size === 0) return own
    const waiting: Present[] = []
    for (const { subject, nodes, since, info } of this.#remote.on(topic))
      if (nodes.some((node) => this.#gone.has(node))) waiting.push({ subject, connections: 0, since, info })
    return mergePresent([own, waiting])
  }

  /**
   * Returns the subjects that are present on a topic by the streams of any process. A process that does not answer soon
   * is left out.
   */
  async present(topic: string): Promise<Present[]> {
    const own = this.on(topic)
    const message = { kind: 'present', topic } satisfies PresentMessage
    const answers = await this.#source.messenger.gather(message, arrayOf(isPresent))
    return answers.length === 0 ? own : mergePresent([own, ...answers.map(({ value }) => value)])
  }

  /**
   * Follows the presence of the other nodes. Call it before a stream with `presence=true` opens. Resolves when their
   * presence is known, or after a second.
   */
  follow(): Promise<void> {
    this.#neededAt = monotonicNow()
    if (this.#exchange.isFollowing) return this.#ready
    this.#exchange.follow()
    this.#followingSince = wallNow()
    this.#hasOpened = this.#source.messenger.isAlone
    if (!this.#hasOpened) this.#ready = this.#fetchAll()
    return this.#ready
  }

  /** Catches up with another node, which has reported the number of its changes. */
  told(node: string, changes: number): Promise<void> {
    this.#gone.delete(node)
    return this.#exchange.catchUp(node, changes)
  }

  /**
   * Handles the end of another node. Its subjects leave after the grace, unless they have streams of other nodes by
   * then.
   */
  gone(node: string): void {
    this.#exchange.gone(node)
    if (this.#exchange.isFollowing) this.#gone.set(node, monotonicNow() + this.#source.grace)
  }

  /**
   * Announces the leaves of subjects whose grace is over. Call it a few times a second.
   * @param now on the monotonic clock
   */
  tick(now: number): void {
    this.#local.tick(now)
    for (const [node, until] of this.#gone) if (until <= now) void this.#dropSubjects(node)
    if (!this.#exchange.isFollowing) return
    if (this.#source.isWatched()) this.#neededAt = now
    else if (now - this.#neededAt > FOLLOW_TIME) this.#unfollow()
  }

  *#own(): Generator<NodePresent, undefined> {
    for (const { topic, subject, since, info } of this.#local.all()) yield { topic, subject, since, info }
  }

  async #fetchAll(): Promise<void> {
    const { messenger, greet } = this.#source
    const timer = new AbortController()
    const late = delay(WAIT, undefined, { signal: timer.signal }).catch(() => undefined)
    const fetched = greet().then(() => Promise.all(messenger.others().map((node) => this.#exchange.catchUp(node, 0))))
    await Promise.race([fetched, late])
    timer.abort()
    this.#hasOpened = true
  }

  #unfollow(): void {
    this.#exchange.unfollow()
    this.#remote.clear()
    this.#gone.clear()
    this.#met.clear()
    void this.#source.greet()
  }

  #changedHere(type: PresenceType, change: PresenceChange): void {
    const { topic, subject, info } = change
    this.#exchange.add({ hasJoined: type === 'fanfare.join', topic, subject, since: wallNow(), info })
    const subjects = this.#remote.localChanged(type, change)
    if (subjects !== undefined) this.#source.announce(type, { ...change, subjects })
  }

  #changedThere(node: string, change: NodeChange): void {
    if (change.hasJoined) this.#remote.enter(node, change)
    else this.#remote.leave(node, change.topic, change.subject, change.info)
  }

  #fetched(node: string, present: NodePresent[]): void {
    const isMet = this.#met.has(node)
    const keys = new Set<string>()
    this.#met.add(node)
    for (const one of present) {
      keys.add(keyOf(one))
      // A subject that was present before this node followed has not just joined. If its node answers only now, the
      // open streams do not know the subject, and would be told of a leave without a join.
      this.#remote.enter(node, one, isMet || this.#hasOpened || one.since >= this.#followingSince)
    }
    for (const one of [...this.#remote.of(node)])
      if (!keys.has(keyOf(one))) this.#remote.leave(node, one.topic, one.subject)
  }

  /** Removes the subjects of a node that has gone, in slices, unless it comes back. */
  async #dropSubjects(node: string): Promise<void> {
    this.#gone.set(node, Infinity) // the next tick must not start this again
    await mapInTurns([...this.#remote.of(node)], ({ topic, subject }) => {
      if (this.#gone.has(node)) this.#remote.leave(node, topic, subject)
    })
    this.#gone.delete(node)
  }
}

/** Returns a unique key: a topic has no space. */
function keyOf({ topic, subject }: NodePresent): string {
  return `${topic} ${subject}`
}
