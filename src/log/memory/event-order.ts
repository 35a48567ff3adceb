/** All events of a memory log in the order of their sequences, over all topics. */
import type { KeptEvent } from './kept-event.js'

/** The maximum number of entries of a block. */
const BLOCK = 1_024
/** The maximum number of holes that a block keeps. */
const HOLES = 16

/** An event, or the sequence of a deleted one. */
type Entry = KeptEvent | number

/** Consecutive entries. */
interface Block {
  /** A sequence that is at most that of the first entry. */
  first: number
  entries: Entry[]
  /** The number of entries. The array may be longer. */
  end: number
  /** Entries before this index are holes. */
  start: number
  /** The number of entries that are events. */
  live: number
}

/**
 * Events by sequence. Appends at the end, deletes anywhere, and finds an event in about logarithmic time. An event
 * takes one to two slots of an array.
 */
export class EventOrder {
  /** Oldest first. Each block has an event. */
  readonly #blocks: Block[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  get oldest(): KeptEvent | undefined {
    const block = this.#blocks[0]
    return block && (block.entries[block.start] as KeptEvent)
  }

  /** Adds an event with a greater sequence than all others. */
  push(event: KeptEvent): void {
    let block = this.#blocks.at(-1)
    if (!block || block.end === BLOCK) {
      block = { first: event.sequence, entries: new Array<Entry>(BLOCK), end: 0, start: 0, live: 0 }
      this.#blocks.push(block)
    }
    block.entries[block.end++] = event
    block.live++
    this.#length++
  }

  /** Deletes an event. The event must exist. */
  delete(sequence: number): void {
    const at = this.#blockOf(sequence)
    const block = this.#blocks[at]!
    block.entries[indexOf(block, sequence)] = sequence
    block.live--
    this.#length--
    if (block.live === 0) {
      this.#blocks.splice(at, 1)
      return
    }
    while (typeof block.entries[block.start] === 'number') block.start++
    const holes = block.end - block.live
    if (holes > HOLES && holes > block.live) this.#compact(at)
  }

  /** Returns the oldest event after a sequence. */
  after(sequence: number): KeptEvent | undefined {
    for (let at = Math.max(0, this.#blockOf(sequence)); at < this.#blocks.length; at++) {
      const block = this.#blocks[at]!
      for (let index = indexAfter(block, sequence); index < block.end; index++) {
        const entry = block.entries[index]!
        if (typeof entry !== 'number') return entry
      }
    }
    return undefined
  }

  /** Returns the newest event before a sequence. */
  before(sequence: number): KeptEvent | undefined {
    for (let at = this.#blockOf(sequence - 1); at >= 0; at--) {
      const block = this.#blocks[at]!
      for (let index = indexAfter(block, sequence - 1) - 1; index >= block.start; index--) {
        const entry = block.entries[index]!
        if (typeof entry !== 'number') return entry
      }
    }
    return undefined
  }

  /** Returns the index of the last block whose `first` is at most `sequence`; -1: there is none. */
  #blockOf(sequence: number): number {
    const second = this.#blocks[1]
    // most deleted events are old
    if (second && second.first > sequence) return this.#blocks[0]!.first <= sequence ? 0 : -1
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#blocks[middle]!.first <= sequence) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Removes the holes of a block, and joins it with its neighbours if few events are left. */
  #compact(at: number): void {
    const block = this.#blocks[at]!
    block.entries = block.entries.slice(block.start, block.end).filter((entry) => typeof entry !== 'number')
    block.start = 0
    block.end = block.live
    this.#join(at)
    this.#join(at - 1)
  }

  /** Joins a block with the next one if both together have at most half the events of a block. */
  #join(at: number): void {
    const block = this.#blocks[at]
    const next = this.#blocks[at + 1]
    if (!block || !next || block.live + next.live > BLOCK / 2) return
    block.entries = [block, next].flatMap(({ entries, start, end }) =>
      entries.slice(start, end).filter((entry) => typeof entry !== 'number'),
    )
    block.start = 0
    block.end = block.live += next.live
    this.#blocks.splice(at + 1, 1)
  }
}

/** Returns the index of an entry of a block. */
function indexOf(block: Block, sequence: number): number {
  const guess = sequence - block.first // correct if no entry is missing
  const entry = guess < block.end ? block.entries[guess] : undefined
  return entry !== undefined && sequenceOf(entry) === sequence ? guess : indexAfter(block, sequence - 1)
}

/** Returns the index of the first entry of a block after a sequence. */
function indexAfter({ first, entries, start, end }: Block, sequence: number): number {
  const guess = sequence - first + 1 // correct if no entry is missing
  if (guess > start && guess < end && sequenceOf(entries[guess - 1]!) === sequence) return guess
  let low = start
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sequenceOf(entries[middle]!) <= sequence) low = middle + 1
    else high = middle
  }
  return low
}

function sequenceOf(entry: Entry): number {
  return typeof entry === 'number' ? entry : entry.sequence
}
