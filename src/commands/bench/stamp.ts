/**
 * The stamp in the payload of each event: its number and its time. It has letters, digits and `-` only, which JSON,
 * forms and URLs leave as they are, so that it is found in the bytes of any server's stream.
 */

const NUMBER_DIGITS = 9
const TIME_DIGITS = 16

/** Writes and finds the stamps of one run. */
export class Stamps {
  /** The beginning of each stamp. */
  readonly prefix: string
  /** The length of a stamp, in bytes. */
  readonly length: number
  readonly #prefix: Buffer

  /** @param run the name of the run: letters and digits */
  constructor(run: string) {
    this.prefix = `bench-${run}-`
    this.length = this.prefix.length + NUMBER_DIGITS + 1 + TIME_DIGITS
    this.#prefix = Buffer.from(this.prefix)
  }

  /**
   * Returns a JSON object with the stamp, of `size` bytes if that is enough for it.
   * @param at in microseconds since the Unix epoch
   */
  payload(number: number, at: number, size: number): string {
    const stamp = `${this.prefix}${String(number).padStart(NUMBER_DIGITS, '0')}-${String(at).padStart(TIME_DIGITS, '0')}`
    const bare = JSON.stringify({ stamp })
    const rest = size - JSON.stringify({ stamp, pad: '' }).length
    return rest < 0 ? bare : JSON.stringify({ stamp, pad: 'x'.repeat(rest) })
  }

  /**
   * Calls `found` for each stamp in received bytes.
   * @returns the end of the bytes, which may be the beginning of a stamp, to put before the next ones
   */
  scan(bytes: Buffer, found: (number: number, at: number) => void): Buffer {
    let from = 0
    for (let start = bytes.indexOf(this.#prefix); start !== -1; start = bytes.indexOf(this.#prefix, from)) {
      if (start + this.length > bytes.length) return bytes.subarray(start)
      const number = start + this.#prefix.length
      const time = number + NUMBER_DIGITS + 1
      found(readDigits(bytes, number, NUMBER_DIGITS), readDigits(bytes, time, TIME_DIGITS))
      from = start + this.length
    }
    return bytes.subarray(Math.max(from, bytes.length - this.#prefix.length + 1))
  }
}

/** The time in microseconds since the Unix epoch, on a clock that does not go back. */
export function microseconds(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1e3)
}

function readDigits(bytes: Buffer, start: number, digits: number): number {
  let value = 0
  for (let index = start; index < start + digits; index++) value = value * 10 + (bytes[index] ?? 0) - 0x30
  return value
}
