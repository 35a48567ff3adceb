/** The text of an answer: tokens as a model streams them, each after a mark, so that a subscriber finds its time. */
import { blankPayload, MARK_LENGTH, writeMark } from './mark.js'

/** Tokens that a decoder could damage: spaces at both ends, line feeds, and characters of two to four bytes. */
const WORDS = ['The', ' answer', ' is', ' naïve', ',', ' €', '5', '\n', '\n\n', '- ', ' 👋', ' done', '. ']

/** Returns the token with a number. */
export function tokenOf(number: number, time: number): Buffer {
  const token = Buffer.from(`${blankPayload(MARK_LENGTH)}${WORDS[number % WORDS.length]!}`)
  writeMark(token, 0, 0, number, time)
  return token
}
