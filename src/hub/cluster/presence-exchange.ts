/**
 * Exchanges presence with the other nodes. A node numbers the changes of its own presence, and broadcasts them while
 * another node follows presence. A follower that misses a number fetches the whole presence of that node again, in
 * pages.
 */
import type { ClusterMessage } from '../../cluster/cluster.js'
import type { Messenger } from './messenger.js'
import { arrayOf, isAnything, isBoolean, isNumber, isString, isTime, nullable, shapeOf } from '../../model/shape.js'
import type { NodePresent } from './remote-presence.js'

/** The maximum number of changes in a message, and of subjects on a page. */
const PER_MESSAGE = 500

/** A change of the presence by the streams of one node. */
export interface NodeChange extends NodePresent {
  hasJoined: boolean
}

interface ChangesMessage extends ClusterMessage {
  kind: 'presence-changes'
  /** The number of the first change. */
  first: number
  changes: NodeChange[]
}

/** Asks for a page of the presence by the streams of a node. */
interface PageMessage extends ClusterMessage {
  kind: 'presence-page'
  /** The index of the page's first subject; 0 takes a new snapshot. */
  from: number
}

interface Page {
  /** The number of changes that the snapshot includes. */
  number: number
  subjects: NodePresent[]
  more: boolean
}

const present = { topic: isString, subject: isString, since: isTime, info: isAnything }
const isChanges = shapeOf({ first: isNumber, changes: arrayOf(shapeOf({ ...present, hasJoined: isBoolean })) })
const isPage = nullable(shapeOf({ number: isNumber, subjects: arrayOf(shapeOf(present)), more: isBoolean }))

/** The presence of another node, as far as this node has it. */
interface Followed {
  /** The number of its changes that this node has; `undefined`: its presence has not been fetched. */
  number: number | undefined
  /** The messages that arrived while its presence was being fetched. */
  held: ChangesMessage[]
  /** Settles when its presence has been fetched; `undefined`: no fetch is running. */
  fetching: Promise<void> | undefined
}

export interface ExchangeListener {
  /** Returns the presence by the streams of this node. */
  own: () => Iterable<NodePresent>
  /** Whether another node follows presence. */
  isFollowed: () => boolean
  changed: (node: string, change: NodeChange) => void
  /** Takes the whole presence of a node. */
  fetched: (node: string, present: NodePresent[]) => void
}

export class PresenceExchange {
  readonly #messenger: Messenger
  readonly #listener: ExchangeListener
  /** The number of changes of this node. */
  #number = 0
  #unsent: NodeChange[] = []
  readonly #snapshots = new Map<string, { number: number; subjects: NodePresent[] }>()
  readonly #followed = new Map<string, Followed>()
  #isFollowing = false

  constructor(messenger: Messenger, listener: ExchangeListener) {
    this.#messenger = messenger
    this.#listener = listener
    messenger.onBroadcast<ChangesMessage>('presence-changes', isChanges, (message, from) =>
      this.#receiveChanges(from, message),
    )
    messenger.onRequest<PageMessage>('presence-page', shapeOf({ from: isNumber }), ({ from }, node) =>
      this.#page(node, from),
    )
  }

  get isFollowing(): boolean {
    return this.#isFollowing
  }

  /** Sends the pending changes. Returns the number of changes of this node so far. */
  sent(): number {
    this.#send()
    return this.#number
  }

  /** Takes a change of this node, and sends it to the others at the end of this turn of the event loop. */
  add(change: NodeChange): void {
    this.#number++
    if (!this.#listener.isFollowed()) {
      this.#unsent = [] // a follower fetches them
      return
    }
    if (this.#unsent.push(change) === 1) setImmediate(() => this.#send())
  }

  /** Starts to follow the other nodes. The caller then fetches the presence of each known node (`catchUp`). */
  follow(): void {
    this.#isFollowing = true
  }

  /** Stops following, and forgets the other nodes. */
  unfollow(): void {
    this.#isFollowing = false
    this.#followed.clear()
  }

  /**
   * Fetches the presence of a node if changes of it are missing.
   * @param number the number of its changes so far
   */
  async catchUp(node: string, number: number): Promise<void> {
    if (!this.#isFollowing) return
    const followed = this.#of(node)
    if (followed.fetching) return followed.fetching
    if ((followed.number ?? -1) < number) await this.#fetch(node, followed)
  }

  /** Forgets a node that has gone. */
  gone(node: string): void {
    this.#followed.delete(node)
    this.#snapshots.delete(node)
  }

  #of(node: string): Followed {
    let followed = this.#followed.get(node)
    if (!followed) this.#followed.set(node, (followed = { number: undefined, held: [], fetching: undefined }))
    return followed
  }

  #send(): void {
    const changes = this.#unsent
    this.#unsent = []
    for (let start = 0; start < changes.length; start += PER_MESSAGE) {
      this.#messenger.broadcast({
        kind: 'presence-changes',
        first: this.#number - changes.length + start + 1,
        changes: changes.slice(start, start + PER_MESSAGE),
      } satisfies ChangesMessage)
    }
  }

  #receiveChanges(node: string, message: ChangesMessage): void {
    if (!this.#isFollowing) return
    const followed = this.#of(node)
    if (followed.fetching) followed.held.push(message)
    // the first change of a node that has just started
    else if (followed.number === undefined && message.first === 1) this.#apply(node, followed, message, 0)
    else if (followed.number === undefined || message.first > followed.number + 1) void this.#fetch(node, followed)
    else this.#apply(node, followed, message, followed.number)
  }

  /** @param number the number of the newest applied change */
  #apply(node: string, followed: Followed, { first, changes }: ChangesMessage, number: number): void {
    for (const change of changes.slice(Math.max(0, number + 1 - first))) this.#listener.changed(node, change)
    followed.number = Math.max(number, first + changes.length - 1)
  }

  /** Fetches the presence of a node, then applies the changes that arrived meanwhile. */
  #fetch(node: string, followed: Followed): Promise<void> {
    return (followed.fetching = this.#fetchNow(node, followed))
  }

  async #fetchNow(node: string, followed: Followed): Promise<void> {
    const fetched = await this.#fetchPages(node).catch(() => undefined) // the next message fetches again
    followed.fetching = undefined
    const held = followed.held.splice(0)
    if (!fetched || this.#followed.get(node) !== followed) return
    this.#listener.fetched(node, fetched.subjects)
    followed.number = fetched.number
    for (const message of held) this.#receiveChanges(node, message)
  }

  /** @returns `undefined`: the node has dropped the snapshot */
  async #fetchPages(node: string): Promise<Omit<Page, 'more'> | undefined> {
    const subjects: NodePresent[] = []
    for (;;) {
      const message = { kind: 'presence-page', from: subjects.length } satisfies PageMessage
      const page = await this.#messenger.request(node, message, isPage)
      if (!page) return undefined
      subjects.push(...page.subjects)
      if (!page.more) return { number: page.number, subjects }
    }
  }

  #page(node: string, from: number): Page | null {
    if (from === 0) this.#snapshots.set(node, { number: this.#number, subjects: [...this.#listener.own()] })
    const snapshot = this.#snapshots.get(node)
    if (!snapshot) return null
    const subjects = snapshot.subjects.slice(from, from + PER_MESSAGE)
    const more = from + subjects.length < snapshot.subjects.length
    if (!more) this.#snapshots.delete(node)
    return { number: snapshot.number, subjects, more }
  }
}
