/** The selection of a subscriber: topics, patterns and event types. */
import { END_TYPE } from './end-type.js'
import { isPresenceType } from './presence-type.js'
import { PatternTree } from './pattern-tree.js'
import { isExact } from './topic.js'

/** Selects events by topic and type. Immutable. Equal selections have the same `key`. */
export class Selection {
  /** Every topic and pattern, sorted, each once. */
  readonly patterns: readonly string[]
  /** The patterns without a wildcard. */
  readonly topics: readonly string[]
  /** The patterns with a wildcard. */
  readonly wildcards: readonly string[]
  /** The selected event types; `undefined` selects all, and events without a type. */
  readonly types: ReadonlySet<string> | undefined
  /** Whether presence events are selected too. */
  readonly presence: boolean
  readonly key: string
  #tree: PatternTree | undefined

  /**
   * @param patterns topics and patterns
   * @param types event types; an empty list selects all
   * @param presence whether presence events are selected too
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

  /** Whether the selection is one topic without a wildcard. Its events need no `topic:` line. */
  get isSingleTopic(): boolean {
    return this.patterns.length === 1 && this.topics.length === 1
  }

  /** Every topic and pattern, as a tree of segments. */
  get tree(): PatternTree {
    return (this.#tree ??= new PatternTree(this.patterns))
  }

  /** Whether the selection includes a topic. */
  hasTopic(topic: string): boolean {
    return this.isSingleTopic ? topic === this.topics[0] : this.tree.has(topic)
  }

  /** Returns a selection of other topics and patterns with the same types. */
  of(patterns: Iterable<string>, presence = this.presence): Selection {
    return new Selection(patterns, this.types ?? [], presence)
  }

  /** Whether the selection includes events of a type. Every selection includes the end of a finite topic. */
  hasType(type: string | undefined): boolean {
    if (isPresenceType(type)) return this.presence
    return this.types === undefined || (type !== undefined && (type === END_TYPE || this.types.has(type)))
  }
}
