/** Parses the JSON of requests. */
import { Problem } from '../errors.js'
import { isDeeper, MAX_DEPTH } from '../model/json.js'

/** How many levels of nesting a body has around the data of an event. */
const ENVELOPE_LEVELS = 4
/**
 * The length of a text that is parsed without checking its depth, in characters. Deep nesting is slow in long texts
 * only: `JSON.parse` takes a second for a million levels.
 */
const SHORT_TEXT = 8 * 1024

/**
 * Parses JSON.
 * @param input a string, or UTF-8 bytes
 * @param what the name of the input, which begins the message
 * @param tooDeep creates the error for an input that is nested much deeper than `MAX_DEPTH`
 * @throws Problem `invalid-json`
 */
export function parseJson(input: Buffer | string, what: string, tooDeep: (text: string) => Error): unknown {
  const text = input.toString()
  if (text.length > SHORT_TEXT && isDeeper(text, MAX_DEPTH + ENVELOPE_LEVELS)) throw tooDeep(text)
  try {
    return JSON.parse(text) as unknown
  } catch (err) {
    throw new Problem('invalid-json', `${what} is not valid JSON: ${err instanceof Error ? err.message : String(err)}.`)
  }
}
