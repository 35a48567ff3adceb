/**
 * What a stream has been given of the log, or has said that it has: what it asks for of the past, when it is given other
 * topics, brings none of that again.
 */
import type { Selection } from './selection.js'
import { matches } from './topic.js'

/** Everything behind one sequence and up to another. */
interface Span {
  after: number
  until: number
}

/** By pattern, oldest first. */
type Spans = ReadonlyMap<string, readonly Span[]>

/** The most spans of a pattern. Of more the oldest two are joined, and then what lies between them counts as seen, too. */
const MAX_SPANS = 1_000
/** The most patterns that are remembered beside those that the stream has; of more, those that it had first are forgotten. */
const MAX_PATTERNS = 1_000

/** Immutable. Of a pattern that stays while others come and go there is one span, however often that is. */
export class Seen {
  #known: Spans | (() => Spans)

  private constructor(spans: Spans | (() => Spans)) {
    this.#known = spans
  }

  /** A stream that has had one selection since `after`. */
  static since({ patterns }: Selection, after: number): Seen {
    return new Seen(() => new Map(patterns.map((pattern) => [pattern, [{ after, until: Infinity }]])))
  }

  /** Made when they are first asked for: most streams never have other topics than at first. */
  get #spans(): Spans {
    return typeof this.#known === 'function' ? (this.#known = this.#known()) : this.#known
  }

  /** From `at` on it has another selection. */
  moved(at: number, { patterns }: Selection): Seen {
    const spans = new Map(this.#spans)
    const held = new Set(patterns)
    for (const [pattern, list] of this.#spans) {
      const last = list.at(-1)!
      if (last.until === Infinity && !held.has(pattern)) spans.set(pattern, list.with(-1, { ...last, until: at }))
    }
    for (const pattern of patterns) spans.set(pattern, withSpan(spans.get(pattern), { after: at, until: Infinity }))
    for (const pattern of spans.keys()) {
      if (spans.size <= held.size + MAX_PATTERNS) break
      if (!held.has(pattern)) spans.delete(pattern)
    }
    return new Seen(spans)
  }

  /** It was given, of some patterns, what lies behind `after` and up to `until`. */
  given(patterns: readonly string[], after: number, until: number): Seen {
    const spans = new Map(this.#spans)
    for (const pattern of patterns) spans.set(pattern, withSpan(spans.get(pattern), { after, until }))
    return new Seen(spans)
  }

  /** Of what it has, it was given nothing of what lies behind `after` and up to `until`, but for these events. */
  skipped(after: number, until: number, sent: readonly { topic: string; sequence: number }[]): Seen {
    const spans = new Map(this.#spans)
    for (const [pattern, list] of this.#spans) {
      const last = list.at(-1)!
      if (last.until === Infinity) spans.set(pattern, bounded([...list.slice(0, -1), ...(last.after < after ? [{ after: last.after, until: after }] : []), { after: until, until: Infinity }]))
    }
    for (const { topic, sequence } of sent) spans.set(topic, withSpan(spans.get(topic), { after: sequence - 1, until: sequence }))
    return new Seen(spans)
  }

  has(topic: string, sequence: number): boolean {
    return this.newestUnseen(topic, sequence) !== sequence
  }

  /** The newest sequence up to this one that, if it is of the topic, it has not seen; 0: there is none. */
  newestUnseen(topic: string, sequence: number): number {
    const lists = [...this.#spans].flatMap(([pattern, list]) => (matches(pattern, topic) ? [list] : []))
    let newest = sequence
    let span: Span | undefined
    do {
      for (const list of lists) {
        span = list.findLast(({ after, until }) => newest > after && newest <= until)
        if (span) break
      }
      if (span) newest = span.after
    } while (span)
    return newest
  }
}

/** Joins what touches or overlaps. */
function withSpan(list: readonly Span[] = [], { after, until }: Span): Span[] {
  const apart = list.filter((span) => span.until < after || span.after > until)
  const touching = list.filter((span) => !apart.includes(span))
  const spans = [...apart, {
    after: Math.min(after, ...touching.map((span) => span.after)),
    until: Math.max(until, ...touching.map((span) => span.until)),
  }].sort((a, b) => a.after - b.after)
  return bounded(spans)
}

function bounded(spans: Span[]): Span[] {
  if (spans.length > MAX_SPANS) spans.splice(0, 2, { after: spans[0]!.after, until: spans[1]!.until })
  return spans
}
