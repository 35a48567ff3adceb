/** What a subscriber asked for: topics, patterns and, perhaps, only some event types. */
import { isPresenceType } from './presence-type.js'
import { PatternTree } from './pattern-tree.js'
import { isExact } from './topic.js'

/** Which events of the log somebody wants. Immutable; two selections of the same things have the same `key`. */
export class Selection {
  /** Every topic and pattern, sorted, each once. */
  readonly patterns: readonly string[]
  /** Those that stand for exactly one topic. */
  readonly topics: readonly string[]
  /** Those that have a wildcard. */
  readonly wildcards: readonly string[]
  /** The event types wanted; `undefined`: all, also events without a type. */
  readonly types: ReadonlySet<string> | undefined
  /** Whether the events that tell who comes and goes are wanted too. */
  readonly presence: boolean
  readonly key: string
  #tree: PatternTree | undefined

  /**
   * @param patterns topics and patterns
   * @param types event types; none: all
   * @param presence whether the events that tell who comes and goes are wanted too
   */
  constructor(patterns: Iterable<string>, types: Iterable<string> = [], presence = false) {
    this.patterns = [...new Set(patterns)].sort()
    this.topics = this.patterns.filter(isExact)
    this.wildcards = this.patterns.filter((pattern) => !isExact(pattern))
    const wanted = [...new Set(types)].sort()
    this.types = wanted.length > 0 ? new Set(wanted) : undefined
    this.presence = presence
    this.key = JSON.stringify([this.patterns, wanted, presence])
  }

  /** Whether this is one plain topic, so that nobody needs to be told which topic an event is from. */
  get isSingleTopic(): boolean {
    return this.patterns.length === 1 && this.topics.length === 1
  }

  /** Every topic and pattern, as a tree of segments. */
  get tree(): PatternTree {
    return (this.#tree ??= new PatternTree(this.patterns))
  }

  /** Whether `topic` is one of those asked for. */
  hasTopic(topic: string): boolean {
    return this.isSingleTopic ? topic === this.topics[0] : this.tree.has(topic)
  }

  /** The same of other topics and patterns. */
  of(patterns: Iterable<string>, presence = this.presence): Selection {
    return new Selection(patterns, this.types ?? [], presence)
  }

  /** Whether events of this type are wanted. */
  hasType(type: string | undefined): boolean {
    if (isPresenceType(type)) return this.presence
    return this.types === undefined || (type !== undefined && this.types.has(type))
  }
}
