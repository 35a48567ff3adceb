/** The sequences of topics, from the index and from what is not in it yet; and of several topics, merged. */
import type { Transaction } from 'lmdb'
import TinyQueue from 'tinyqueue'
import type { Topic } from './state.js'
import type { Tables } from './store.js'

/** Sequences, one after the other. */
export type Sequences = Iterator<number>

/** The sequences of a topic behind `after`, up to `until`, from the oldest on. */
export function* forwards(index: Tables['index'], transaction: Transaction, { id, recent }: Topic, after: number, until: number): Generator<number, undefined> {
  for (const [, sequence] of index.getKeys({ start: [id, after + 1], end: [id, until + 1], transaction })) yield sequence
  for (const sequence of recent) if (sequence > after && sequence <= until) yield sequence
}

/** The sequences of a topic up to `until`, from the newest on. */
export function* backwards(index: Tables['index'], transaction: Transaction, { id, recent }: Topic, until: number): Generator<number, undefined> {
  for (let i = recent.length - 1; i >= 0; i--) if (recent[i]! <= until) yield recent[i]!
  for (const [, sequence] of index.getKeys({ start: [id, until], end: [id, 0], reverse: true, transaction })) yield sequence
}

/**
 * What is wanted of a topic's sequences, newest first: what is not wanted is jumped over.
 * @param from the topic's sequences from a sequence on, newest first
 * @param newestWanted the newest that is wanted, not beyond a sequence; 0: none
 */
export function* wantedOf(from: (until: number) => Iterable<number>, newestWanted: (sequence: number) => number, head: number): Generator<number, undefined> {
  let until: number | undefined = newestWanted(head)
  while (until !== undefined && until > 0) {
    let jump: number | undefined
    for (const sequence of from(until)) {
      const wanted = newestWanted(sequence)
      if (wanted === sequence) {
        yield sequence
        continue
      }
      jump = wanted
      break
    }
    until = jump
  }
}

/** Merges sequences, each list in order, into one in that order. */
export function* merge(lists: Sequences[], compare: (a: number, b: number) => number): Generator<number, undefined> {
  interface Head {
    sequence: number
    rest: Sequences
  }
  const heads: Head[] = []
  try {
    for (const rest of lists) {
      const first = rest.next()
      if (!first.done) heads.push({ sequence: first.value, rest })
    }
    const queue = new TinyQueue(heads, (a, b) => compare(a.sequence, b.sequence))
    for (let head = queue.pop(); head; head = queue.pop()) {
      yield head.sequence
      const next = head.rest.next()
      if (next.done) continue
      head.sequence = next.value
      queue.push(head)
    }
  } finally {
    for (const list of lists) list.return?.()
  }
}
