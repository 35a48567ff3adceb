/**
 * The mark that every event of a bench carries at the beginning of its payload: who published it, which one of theirs
 * on its topic it is, and when. All of it is in digits of fixed width, so that a publisher changes it in place and a
 * subscriber reads it without decoding anything: `~`, 3 digits, 9 digits, 15 digits.
 */

/** Begins a mark, and stands nowhere else on a stream of a bench. */
export const TILDE = 0x7e
export const MARK_LENGTH = 1 + 3 + 9 + 15

const PUBLISHER = { at: 1, digits: 3 }
const NUMBER = { at: 4, digits: 9 }
const TIME = { at: 13, digits: 15 }

/** A payload of `size` bytes whose mark is still to be written. */
export function blankPayload(size: number): string {
  return `~${'0'.repeat(MARK_LENGTH - 1)}${'x'.repeat(Math.max(0, size - MARK_LENGTH))}`
}

/**
 * Writes a mark over the one at `at`.
 * @param number how many events this publisher has published to this topic before
 * @param time in microseconds
 */
export function writeMark(bytes: Uint8Array, at: number, publisher: number, number: number, time: number): void {
  writeDigits(bytes, at + PUBLISHER.at, PUBLISHER.digits, publisher)
  writeDigits(bytes, at + NUMBER.at, NUMBER.digits, number)
  writeDigits(bytes, at + TIME.at, TIME.digits, time)
}

export function readPublisher(bytes: Uint8Array, mark: number): number {
  return readDigits(bytes, mark + PUBLISHER.at, PUBLISHER.digits)
}

export function readNumber(bytes: Uint8Array, mark: number): number {
  return readDigits(bytes, mark + NUMBER.at, NUMBER.digits)
}

export function readTime(bytes: Uint8Array, mark: number): number {
  return readDigits(bytes, mark + TIME.at, TIME.digits)
}

/** Writes a whole number with leading zeros. */
export function writeDigits(bytes: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value
  for (let index = at + digits - 1; index >= at; index--) {
    const tenth = Math.floor(rest / 10)
    bytes[index] = 0x30 + (rest - tenth * 10)
    rest = tenth
  }
}

function readDigits(bytes: Uint8Array, from: number, digits: number): number {
  let value = 0
  for (let index = from; index < from + digits; index++) value = value * 10 + (bytes[index]! - 0x30)
  return value
}
