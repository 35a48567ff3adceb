/**
 * What a stream has been given of the log, or has said that it has: what it asks for of the past, when it is given other
 * topics, brings none of that again.
 */
import { Selection } from './selection.js'

/** Everything of a selection behind one sequence and up to another. */
interface Span {
  selection: Selection
  after: number
  until: number
}

/** More than this are joined, and their patterns up to a limit: then more counts as seen than was. */
const MAX_SPANS = 32
const MAX_PATTERNS = 200

/** Immutable. */
export class Seen {
  readonly #spans: readonly Span[]

  private constructor(spans: readonly Span[]) {
    this.#spans = spans
  }

  /** A stream that has had one selection since `after`. */
  static since(selection: Selection, after: number): Seen {
    return new Seen([{ selection, after, until: Infinity }])
  }

  /** From `at` on it has another selection, and of `past` what lies between `past.after` and `at`. */
  moved(at: number, selection: Selection, past?: { selection: Selection; after: number }): Seen {
    const spans = this.#spans.map((span) => ({ ...span, until: Math.min(span.until, at) }))
    if (past) spans.push({ ...past, until: at })
    spans.push({ selection, after: at, until: Infinity })
    while (spans.length > MAX_SPANS) spans.unshift(join(spans.shift()!, spans.shift()!))
    return new Seen(spans)
  }

  has(topic: string, sequence: number): boolean {
    return this.newestUnseen(topic, sequence) !== sequence
  }

  /** The newest sequence up to this one that, if it is of the topic, it has not seen; 0: there is none. */
  newestUnseen(topic: string, sequence: number): number {
    let newest = sequence
    let span: Span | undefined
    do {
      span = this.#spans.find(({ selection, after, until }) => newest > after && newest <= until && selection.hasTopic(topic))
      if (span) newest = span.after
    } while (span)
    return newest
  }
}

function join(a: Span, b: Span): Span {
  const patterns = new Set([...a.selection.patterns, ...b.selection.patterns])
  const selection = new Selection(patterns.size > MAX_PATTERNS ? ['**'] : patterns)
  return { selection, after: Math.min(a.after, b.after), until: Math.max(a.until, b.until) }
}
