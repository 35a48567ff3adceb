/**
 * The mark at the beginning of each event's payload: `~`, the publisher (3 digits), the number of earlier events of
 * this publisher on the topic (9 digits), and the time (15 digits). The width is fixed, so that a publisher changes the
 * mark in place and a subscriber reads it without decoding.
 */

/** The first byte of a mark. It occurs nowhere else on a stream of a bench. */
export const TILDE = 0x7e
export const MARK_LENGTH = 1 + 3 + 9 + 15

const PUBLISHER = { at: 1, digits: 3 }
const NUMBER = { at: 4, digits: 9 }
const TIME = { at: 13, digits: 15 }

/** Returns a payload of `size` bytes with an empty mark. */
export function blankPayload(size: number): string {
  return `~${'0'.repeat(MARK_LENGTH - 1)}${'x'.repeat(Math.max(0, size - MARK_LENGTH))}`
}

/** Returns an object of about `size` bytes as JSON, with an empty mark in its first member. */
export function structuredPayload(size: number): object {
  const item = { sku: 'A-1042', name: 'Tea, green, 100 g', price: 4.95, count: 2, tags: ['food', 'tea'], gift: false }
  const left = Math.max(0, size - MARK_LENGTH)
  const items = Array.from({ length: Math.ceil(left / JSON.stringify(item).length) }, () => item)
  return { mark: blankPayload(MARK_LENGTH), items }
}

/**
 * Overwrites the mark at `at`.
 * @param number the number of events that this publisher has published to this topic before
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
