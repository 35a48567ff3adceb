/** The subjects that are present by the streams of other nodes, and the joins and leaves that follow from them. */
import type { PresenceType } from '../../model/presence-type.js'
import type { PresenceChange } from '../presence.js'

/** The presence of a subject on a topic by streams of other nodes. */
export interface RemotePresent {
  subject: string
  /** The nodes that have a stream of the subject. */
  nodes: string[]
  /** As `Present.since`. */
  since: number
  info: unknown
}

/** A subject that is present on a topic by the streams of one node. */
export interface NodePresent {
  topic: string
  subject: string
  since: number
  info: unknown
}

interface RemoteTopic {
  subjects: Map<string, RemotePresent>
  /** The number of these subjects that are also present by streams of this node. */
  shared: number
}

/** The presence by streams of this node. */
export interface LocalPresence {
  has(topic: string, subject: string): boolean
  /** Returns the number of subjects on a topic. */
  count(topic: string): number
}

export class RemotePresence {
  readonly #local: LocalPresence
  readonly #announce: (type: PresenceType, change: PresenceChange) => void
  readonly #topics = new Map<string, RemoteTopic>()

  /** @param announce called when a change of another node makes a subject join or leave */
  constructor(local: LocalPresence, announce: (type: PresenceType, change: PresenceChange) => void) {
    this.#local = local
    this.#announce = announce
  }

  /** Returns the subjects on a topic. */
  on(topic: string): Iterable<RemotePresent> {
    return this.#topics.get(topic)?.subjects.values() ?? []
  }

  /** Returns the subjects of one node, with their topics. */
  *of(node: string): Generator<NodePresent, undefined> {
    for (const [topic, { subjects }] of this.#topics)
      for (const { subject, nodes, since, info } of subjects.values())
        if (nodes.includes(node)) yield { topic, subject, since, info }
  }

  /**
   * Records that a subject has joined or left by the streams of this node.
   * @returns the number of subjects that are present after the change; `undefined`: the subject is present by another
   *   node too, so nothing has changed for the topic
   */
  localChanged(type: PresenceType, { topic, subject, subjects }: PresenceChange): number | undefined {
    const remote = this.#topics.get(topic)
    if (!remote) return subjects
    if (!remote.subjects.has(subject)) return subjects + remote.subjects.size - remote.shared
    remote.shared += type === 'fanfare.join' ? 1 : -1
    return undefined
  }

  /**
   * Records that a subject is present by a stream of another node.
   * @param isNews whether the subject has just joined there
   */
  enter(node: string, { topic, subject, since, info }: NodePresent, isNews = true): void {
    let remote = this.#topics.get(topic)
    if (!remote) this.#topics.set(topic, (remote = { subjects: new Map(), shared: 0 }))
    const known = remote.subjects.get(subject)
    if (known) {
      if (!known.nodes.includes(node)) known.nodes.push(node)
      known.info = info
      return
    }
    remote.subjects.set(subject, { subject, nodes: [node], since, info })
    if (this.#local.has(topic, subject)) remote.shared++
    else if (isNews) this.#tell('fanfare.join', topic, subject, info)
  }

  /** Records that another node no longer has a stream of a subject. */
  leave(node: string, topic: string, subject: string, info?: unknown): void {
    const remote = this.#topics.get(topic)
    const known = remote?.subjects.get(subject)
    if (!remote || !known) return
    const at = known.nodes.indexOf(node)
    if (at < 0) return
    known.nodes.splice(at, 1)
    if (known.nodes.length > 0) return
    remote.subjects.delete(subject)
    if (this.#local.has(topic, subject)) remote.shared--
    else this.#tell('fanfare.leave', topic, subject, info ?? known.info)
    if (remote.subjects.size === 0) this.#topics.delete(topic)
  }

  /** Forgets all subjects, without announcing leaves. */
  clear(): void {
    this.#topics.clear()
  }

  #tell(type: PresenceType, topic: string, subject: string, info: unknown): void {
    const { subjects, shared } = this.#topics.get(topic)!
    const count = this.#local.count(topic) + subjects.size - shared
    this.#announce(type, { topic, subject, info: info ?? null, subjects: count })
  }
}
