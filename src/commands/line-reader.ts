/** Splits an input into lines, and gives all that have arrived. */
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { CommandError } from './command.js'

/** The maximum size of a line in bytes: far more than a hub accepts, and little enough for the memory. */
const LINE_MAX = 64 * 1024 * 1024

/** A line without its line break, and its number from 1. */
export interface Line {
  number: number
  text: Buffer
}

/** Lines of an input, without blank lines. It reads ahead no more than one batch. */
export class LineReader {
  readonly #input: Readable
  readonly #signal: AbortSignal
  /** The beginning of a line whose end has not arrived. */
  #rest: Buffer[] = []
  #restBytes = 0
  #lines: Line[] = []
  #bytes = 0
  #count = 0
  #isOver = false

  constructor(input: Readable, signal: AbortSignal) {
    this.#input = input
    this.#signal = signal
  }

  /**
   * Returns the lines that have arrived, and waits for one if there is none. Returns no line at the end of the input,
   * and after the signal.
   * @param most the maximum number of lines
   * @param bytes the maximum of their sizes together; a longer line comes alone
   */
  async take(most: number, bytes: number): Promise<Line[]> {
    for (;;) {
      this.#readAvailable(most, bytes)
      if (this.#lines.length > 0) return this.#cut(most, bytes)
      if (this.#isOver || this.#signal.aborted) return []
      await this.#more()
    }
  }

  #readAvailable(most: number, bytes: number): void {
    while (this.#lines.length < most && this.#bytes < bytes) {
      const chunk = this.#input.read() as Buffer | null
      if (chunk === null) {
        if (this.#input.readableEnded) this.#end()
        return
      }
      this.#split(chunk)
    }
  }

  /** Waits until the input has more bytes, or has ended. */
  async #more(): Promise<void> {
    const waiting = new AbortController()
    const signal = AbortSignal.any([this.#signal, waiting.signal])
    try {
      await Promise.race([once(this.#input, 'readable', { signal }), once(this.#input, 'end', { signal })])
    } catch (err) {
      if (!this.#signal.aborted) throw err
    } finally {
      waiting.abort()
    }
  }

  #split(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#rest.push(chunk.subarray(start, end))
      this.#add()
      start = end + 1
    }
    if (start === chunk.length) return
    this.#rest.push(chunk.subarray(start))
    this.#restBytes += chunk.length - start
    if (this.#restBytes > LINE_MAX)
      throw new CommandError(`Line ${this.#count + 1} is longer than ${LINE_MAX / 1024 ** 2} MiB: is the input NDJSON?`)
  }

  /** Adds the line that `#rest` holds. */
  #add(): void {
    const line = Buffer.concat(this.#rest.splice(0))
    this.#restBytes = 0
    this.#count++
    const text = line.at(-1) === 0x0d ? line.subarray(0, -1) : line
    if (text.toString('latin1').trim() === '') return
    this.#lines.push({ number: this.#count, text })
    this.#bytes += text.length
  }

  #end(): void {
    if (this.#rest.length > 0) this.#add()
    this.#isOver = true
  }

  #cut(most: number, bytes: number): Line[] {
    let size = 0
    let count = 0
    for (const { text } of this.#lines) {
      size += text.length
      if (count === most || (count > 0 && size > bytes)) break
      count++
    }
    const taken = this.#lines.splice(0, count)
    for (const { text } of taken) this.#bytes -= text.length
    return taken
  }
}
