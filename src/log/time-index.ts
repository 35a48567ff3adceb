/**
 * Finds events by time. The index has the newest time of each block of sequences. The wall clock may go back, so times
 * are not always in the order of sequences. A block whose newest time is before the wanted one can still be skipped.
 */
import type { Selection } from '../model/selection.js'
import type { EventLog } from './log.js'

/** The initial number of sequences of a block. */
const BLOCK = 64
/** The maximum number of blocks. Beyond it, pairs of blocks are joined. A block takes 8 bytes. */
const MAX_BLOCKS = 16_384

/** The sequences after `after`, up to and including `until`. */
export interface Range {
  after: number
  until: number
}

export class TimeIndex {
  readonly #oldest: () => number
  #size = BLOCK
  /** The number of the first block. Block `n` begins with the sequence `n * size + 1`. */
  #first: number
  /** The newest time of each block; `-Infinity`: unknown. */
  #newest: number[]
  /** The blocks in which the clock went back, with the first sequence whose time is before that of its predecessor. */
  #setBack = new Map<number, number>()
  /** The newest time of the dropped blocks, of which nothing is retained. */
  #dropped: number
  /** The newest event of the log. */
  readonly #last: { sequence: number; time: number }
  /** The first event that was noted. */
  #noted: { sequence: number; time: number } | undefined
  /** The time of the last event that was filled in. */
  #filled = -Infinity

  /**
   * @param oldest returns the sequence of the oldest retained event; the head plus one if there is none
   * @param head the newest sequence: the retained events up to it are still to be filled in
   */
  constructor(oldest: () => number, head: number) {
    this.#oldest = oldest
    while ((head - oldest()) / this.#size > MAX_BLOCKS / 2) this.#size *= 2
    this.#first = this.#blockOf(Math.min(oldest(), head + 1))
    this.#newest = Array.from(
      { length: head === 0 ? 0 : Math.max(0, this.#blockOf(head) - this.#first + 1) },
      () => -Infinity,
    )
    this.#dropped = head === 0 ? -Infinity : Infinity
    this.#last = { sequence: head, time: -Infinity }
  }

  /**
   * Adds events that were appended at one time. Call it for every append, in the order of the sequences.
   * @param last the sequence of the last event
   */
  note(first: number, time: number, last = first): void {
    this.#put(first, time, time < this.#last.time)
    for (let block = this.#blockOf(first) + 1; block <= this.#blockOf(last); block++)
      this.#put(block * this.#size + 1, time, false)
    this.#noted ??= { sequence: first, time }
    this.#last.sequence = last
    this.#last.time = time
  }

  /** Adds a retained event from before this index. Call it for each of them, in the order of the sequences. */
  fill(sequence: number, time: number): void {
    if (this.#blockOf(sequence) < this.#first) return // the block has been trimmed meanwhile
    this.#put(sequence, time, time < this.#filled)
    this.#filled = time
  }

  /**
   * Finds the first block with an event at `time` or later. Every event up to `after` is older. Up to `until`, the
   * times are in the order of the sequences. If the clock went back after events that have been trimmed, their times
   * are unknown.
   * @param time in milliseconds since the Unix epoch
   */
  find(time: number): Range {
    this.#dropTrimmed()
    if (this.#noted && this.#noted.time < this.#filled)
      this.#markSetBack(this.#blockOf(this.#noted.sequence), this.#noted.sequence)
    const index = this.#newest.findIndex((newest) => newest >= time)
    const { sequence } = this.#last
    if (index < 0) return { after: sequence, until: sequence }
    const block = this.#first + index
    const after = index === 0 && this.#dropped >= time ? 0 : block * this.#size
    return { after, until: (this.#setBack.get(block) ?? (block + 1) * this.#size + 1) - 1 }
  }

  #blockOf(sequence: number): number {
    return Math.floor((sequence - 1) / this.#size)
  }

  #put(sequence: number, time: number, isSetBack: boolean): void {
    const block = this.#blockOf(sequence)
    const index = block - this.#first
    if (index >= this.#newest.length) {
      if (this.#newest.length >= MAX_BLOCKS) {
        this.#makeRoom()
        return this.#put(sequence, time, isSetBack)
      }
      for (let missing = this.#newest.length; missing < index; missing++) this.#newest.push(-Infinity)
      this.#newest.push(time)
    } else if (time > this.#newest[index]!) this.#newest[index] = time
    if (isSetBack) this.#markSetBack(block, sequence)
  }

  #markSetBack(block: number, sequence: number): void {
    this.#setBack.set(block, Math.min(sequence, this.#setBack.get(block) ?? Infinity))
  }

  #makeRoom(): void {
    this.#dropTrimmed()
    if (this.#newest.length <= MAX_BLOCKS / 2) return
    if (this.#first % 2 !== 0) {
      this.#newest.unshift(-Infinity)
      this.#first--
    }
    this.#newest = Array.from({ length: Math.ceil(this.#newest.length / 2) }, (_, index) =>
      Math.max(this.#newest[2 * index]!, this.#newest[2 * index + 1] ?? -Infinity),
    )
    const setBack = [...this.#setBack]
    this.#setBack.clear()
    for (const [block, sequence] of setBack) this.#markSetBack(Math.floor(block / 2), sequence)
    this.#first /= 2
    this.#size *= 2
  }

  #dropTrimmed(): void {
    const count = Math.min(this.#blockOf(this.#oldest()) - this.#first, this.#newest.length)
    if (count <= 0) return
    for (const newest of this.#newest.splice(0, count)) this.#dropped = Math.max(this.#dropped, newest)
    this.#first += count
    for (const block of this.#setBack.keys()) if (block < this.#first) this.#setBack.delete(block)
  }
}

/** Skips the older events at the beginning of a range, as `EventLog.locate` does. */
export async function locateIn(
  { after, until }: Range,
  log: Pick<EventLog, 'scan'>,
  selection: Selection,
  time: number,
): Promise<number> {
  const found = { last: after, isOver: after >= until }
  for (let position = after; !found.isOver;) {
    const scanned = await log.scan(selection, { after: position, until }, ({ sequence, time: at }) => {
      found.isOver = at >= time
      if (!found.isOver) found.last = sequence
      return !found.isOver
    })
    found.isOver ||= !scanned.more
    position = scanned.position
  }
  return found.last
}
