/** The trim marks of topics. They decide whether a read has a gap. */
import type { PatternTree } from '../model/pattern-tree.js'
import type { Selection } from '../model/selection.js'
import type { ScanResult } from './log.js'
import { BRANCH_SIZE, TopicTree } from './topic-tree.js'

/** The trim mark of a topic, or of several. */
export interface Trimmed {
  /** The newest trimmed sequence; 0: none. */
  trimmed: number
  /** The log's trim mark at that trim; 0: before this process started. */
  trimmedAt: number
}

/** The trim mark of one topic. */
export interface Mark extends Trimmed {
  readonly topic: string
  /** The marks that were set just before and just after this one. */
  older: Mark | undefined
  newer: Mark | undefined
}

/** The bytes of a mark besides its topic's name and branch. */
const MARK_SIZE = 120

/** The trim marks of topics with and without events, in the order in which they were set. */
export class TrimMarks {
  /** The mark that was set last. */
  latest: Mark | undefined
  readonly #byTopic = new Map<string, Mark>()
  /** The total length of the topics' names, in characters. */
  #names = 0
  readonly #tree = new TopicTree<Mark>()

  /** The size of all marks, in bytes. */
  get bytes(): number {
    return this.#byTopic.size * MARK_SIZE + this.#names + this.#tree.branches * BRANCH_SIZE
  }

  get(topic: string): Mark | undefined {
    return this.#byTopic.get(topic)
  }

  /** Returns all marks, in no particular order. */
  all(): Iterable<Mark> {
    return this.#byTopic.values()
  }

  /** Moves the mark of a topic. `trimmedAt` must be at least that of every other mark. */
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

  /** Finds the marks of the topics that match patterns, as `TopicTree.matching`. */
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

/** The trims that a log remembers. */
export interface TrimHistory {
  /** As `LogView.mark`. */
  readonly mark: number
  readonly marks: TrimMarks
  /** The newest trimmed sequence of all topics. */
  readonly newestTrimmed: number
  /** The newest of the marks that have been dropped. */
  readonly forgotten: Trimmed
  /** Returns the trim mark of a topic, or the latest that it may have. */
  trimmedOf(topic: string): Trimmed
}

/** The number of latest marks that are checked first: most gaps come from recent trims. */
const LATEST = 32

/** Finds out, while the log is read, whether events of a selection have been trimmed. */
export class GapSearch {
  /** The trim mark at which the newest trimmed event of the selection was trimmed; `undefined`: none was. */
  #trimmedAt: number | undefined
  readonly #history: TrimHistory
  readonly #selection: Selection
  /** The trim mark when the search began. */
  readonly #begun: number
  /** Trims up to this value have been checked. */
  #mark: number

  constructor(history: TrimHistory, selection: Selection) {
    this.#history = history
    this.#selection = selection
    this.#begun = this.#mark = history.mark
  }

  /** Returns how far a scan came, and whether there is a gap. */
  result(position: number, more: boolean): ScanResult {
    return { position, more, trimmedAt: this.#trimmedAt, mark: this.#mark }
  }

  /**
   * Reports that an expected event is missing. If it was not trimmed, the log is damaged, and every read reports a gap.
   */
  missed(): void {
    if (this.#trimmedAt === undefined || this.#history.mark === this.#begun) this.#trimmedAt = Infinity
  }

  /** Checks the trims of one topic after `position`, of which an event has gone since it was found. */
  check(topic: string, position: number): void {
    this.#note(this.#history.trimmedOf(topic), position)
  }

  /** Checks all trims after `after`, step by step. `advance` checks later trims before each slice of the read. */
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

  /** Checks the trims since the last check, after `position`: earlier events have been read. */
  advance(position: number): void {
    const { mark, marks, newestTrimmed, forgotten } = this.#history
    if (mark === this.#mark) return
    if (position < newestTrimmed) {
      for (const topic of this.#selection.topics) this.#noteNew(this.#history.trimmedOf(topic), position)
      if (this.#selection.wildcards.length > 0) {
        this.#noteNew(forgotten, position)
        for (let recent = marks.latest; recent && recent.trimmedAt > this.#mark; recent = recent.older) {
          if (recent.trimmed > position && this.#selection.hasTopic(recent.topic)) this.#note(recent, position)
        }
      }
    }
    this.#mark = mark
  }

  #noteNew(trimmed: Trimmed, position: number): void {
    if (trimmed.trimmedAt > this.#mark) this.#note(trimmed, position)
  }

  #note({ trimmed, trimmedAt }: Trimmed, position: number): void {
    if (trimmed > position) this.#trimmedAt = Math.max(this.#trimmedAt ?? 0, trimmedAt)
  }
}
