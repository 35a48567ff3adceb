/** Up to where topics have been trimmed: this decides whether a reader is missing something. */
import type { PatternTree } from '../model/pattern-tree.js'
import type { Selection } from '../model/selection.js'
import type { ScanResult } from './log.js'
import { BRANCH_SIZE, TopicTree } from './topic-tree.js'

/** How far something has been trimmed. */
export interface Trimmed {
  /** The newest sequence that has been trimmed; 0: none. */
  trimmed: number
  /** The trim mark at that moment; 0: before this process. */
  trimmedAt: number
}

/** How far a topic has been trimmed. */
export interface Mark extends Trimmed {
  readonly topic: string
  /** The mark that was set before this one, and the one that was set after it. */
  older: Mark | undefined
  newer: Mark | undefined
}

/** What a mark takes beside its topic's name and its place in the tree. */
const MARK_SIZE = 120

/** The marks of topics with and without events, in the order in which they were set. */
export class TrimMarks {
  /** The mark that was set last. */
  latest: Mark | undefined
  readonly #byTopic = new Map<string, Mark>()
  /** How many characters their topics' names have. */
  #names = 0
  readonly #tree = new TopicTree<Mark>()

  /** What they take, in bytes. */
  get bytes(): number {
    return this.#byTopic.size * MARK_SIZE + this.#names + this.#tree.branches * BRANCH_SIZE
  }

  get(topic: string): Mark | undefined {
    return this.#byTopic.get(topic)
  }

  /** Moves the mark of a topic. `trimmedAt` is at least that of every other mark. */
  set(topic: string, trimmed: number, trimmedAt: number): void {
    let mark = this.#byTopic.get(topic)
    if (mark) {
      if (mark !== this.latest) this.#unlink(mark)
    } else {
      mark = { topic, trimmed, trimmedAt, older: undefined, newer: undefined }
      this.#byTopic.set(topic, mark)
      this.#names += topic.length
      this.#tree.set(topic, mark)
    }
    mark.trimmed = trimmed
    mark.trimmedAt = trimmedAt
    if (mark === this.latest) return
    mark.older = this.latest
    if (this.latest) this.latest.newer = mark
    this.latest = mark
  }

  delete(topic: string): void {
    const mark = this.#byTopic.get(topic)
    if (!mark) return
    this.#unlink(mark)
    this.#byTopic.delete(topic)
    this.#names -= topic.length
    this.#tree.delete(topic)
  }

  /** Finds the marks of the topics that patterns stand for, as `TopicTree.matching`. */
  matching(patterns: PatternTree): Generator<Mark | undefined, undefined> {
    return this.#tree.matching(patterns)
  }

  #unlink(mark: Mark): void {
    if (mark.newer) mark.newer.older = mark.older
    else this.latest = mark.older
    if (mark.older) mark.older.newer = mark.newer
    mark.older = mark.newer = undefined
  }
}

/** What a log knows of its trims. */
export interface TrimHistory {
  /** As `LogView.mark`. */
  readonly trims: number
  readonly marks: TrimMarks
  /** The newest sequence that has been trimmed of any topic. */
  readonly newestTrimmed: number
  /** The newest of the marks that are not remembered any more. */
  readonly forgotten: Trimmed
  /** How far a topic has been trimmed, or may have been. */
  trimmedOf(topic: string): Trimmed
}

/**
 * So many of the latest marks are looked at before all others: most readers that miss something miss what went last.
 */
const LATEST = 32

/** Finds out whether something that a selection wants has been trimmed, while the log is being read. */
export class GapSearch {
  /** The trim mark at which the newest of it was trimmed; `undefined`: nothing was. */
  #trimmedAt: number | undefined
  readonly #history: TrimHistory
  readonly #selection: Selection
  /** The trim mark when the search began. */
  readonly #begun: number
  /** Trims up to this value have been looked at. */
  #trims: number

  constructor(history: TrimHistory, selection: Selection) {
    this.#history = history
    this.#selection = selection
    this.#begun = this.#trims = history.trims
  }

  /** Returns how far a scan came, and whether there is a gap. */
  result(position: number, more: boolean): ScanResult {
    return { position, more, trimmedAt: this.#trimmedAt, mark: this.#trims }
  }

  /** An event is not there that should be. Where it has not been trimmed, the log is damaged: each reader is told. */
  missed(): void {
    if (this.#trimmedAt === undefined || this.#history.trims === this.#begun) this.#trimmedAt = Infinity
  }

  /**
   * Looks at everything that has been trimmed behind `after`, step by step. Before each slice of the read that follows,
   * `advance` looks at what has been trimmed meanwhile.
   */
  *begin(after: number): Generator<undefined, undefined> {
    const { marks, newestTrimmed, forgotten } = this.#history
    if (after >= newestTrimmed) return
    for (const topic of this.#selection.topics) this.#note(this.#history.trimmedOf(topic), after)
    if (this.#selection.wildcards.length === 0) return
    this.#note(forgotten, after)
    for (let mark = marks.latest, looked = 0; mark && looked < LATEST; mark = mark.older, looked++) {
      if (mark.trimmed <= after || !this.#selection.hasTopic(mark.topic)) continue
      this.#note(mark, after)
      return
    }
    for (const mark of marks.matching(this.#selection.tree)) {
      if (mark) this.#note(mark, after)
      yield
    }
  }

  /** Looks at what has been trimmed since the last look, behind `position`: what lies before it has been read. */
  advance(position: number): void {
    const { trims, marks, newestTrimmed, forgotten } = this.#history
    if (trims === this.#trims) return
    if (position < newestTrimmed) {
      for (const topic of this.#selection.topics) this.#noteNew(this.#history.trimmedOf(topic), position)
      if (this.#selection.wildcards.length > 0) {
        this.#noteNew(forgotten, position)
        for (let mark = marks.latest; mark && mark.trimmedAt > this.#trims; mark = mark.older) {
          if (mark.trimmed > position && this.#selection.hasTopic(mark.topic)) this.#note(mark, position)
        }
      }
    }
    this.#trims = trims
  }

  #noteNew(trimmed: Trimmed, position: number): void {
    if (trimmed.trimmedAt > this.#trims) this.#note(trimmed, position)
  }

  #note({ trimmed, trimmedAt }: Trimmed, position: number): void {
    if (trimmed > position) this.#trimmedAt = Math.max(this.#trimmedAt ?? 0, trimmedAt)
  }
}
