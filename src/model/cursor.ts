/**
 * Cursors: positions in a log, written `<epoch>-<sequence>`. The epoch is drawn when a log is created, so a cursor of
 * another log is recognised; sequences are ordered within one epoch.
 */
import { randomInt } from 'node:crypto'

/** A position in the log, directly after the event with this sequence. */
export interface Cursor {
  epoch: string
  sequence: number
}

const EPOCH_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
const EPOCH_LENGTH = 8

/** The syntax of a cursor, as the source of a regular expression. */
export const CURSOR_SYNTAX = `^[a-z0-9]{${String(EPOCH_LENGTH)}}-(?:0|[1-9][0-9]{0,19})$`

const syntax = new RegExp(CURSOR_SYNTAX)
const epochSyntax = new RegExp(`^[a-z0-9]{${String(EPOCH_LENGTH)}}$`)

/** Whether a value is an epoch: 8 characters of `a-z 0-9`. */
export function isEpoch(value: unknown): value is string {
  return typeof value === 'string' && epochSyntax.test(value)
}

/** Draws the epoch of a new log: 8 characters of `a-z 0-9`. */
export function drawEpoch(): string {
  return Array.from({ length: EPOCH_LENGTH }, () => EPOCH_ALPHABET[randomInt(EPOCH_ALPHABET.length)]).join('')
}

/**
 * Parses a cursor; `undefined` if invalid. A sequence that is too large for a number becomes the largest safe integer.
 */
export function parseCursor(text: string): Cursor | undefined {
  if (!syntax.test(text)) return undefined
  return {
    epoch: text.slice(0, EPOCH_LENGTH),
    sequence: Math.min(Number(text.slice(EPOCH_LENGTH + 1)), Number.MAX_SAFE_INTEGER),
  }
}

/** Prints a cursor. */
export function printCursor(epoch: string, sequence: number): string {
  return `${epoch}-${String(sequence)}`
}
