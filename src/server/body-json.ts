/** JSON as it arrives. */
import { Problem } from '../errors.js'
import { isDeeper, MAX_DEPTH } from '../model/json.js'

/** How many levels a body may have above the data of an event. */
const ENVELOPE_LEVELS = 4
/** Nesting costs time only in longer texts, in characters: `JSON.parse` takes a second for a million levels. */
const SHORT_TEXT = 8 * 1024

/**
 * Parses JSON.
 * @param input text, or UTF-8
 * @param what the thing that is parsed, as it begins a sentence
 * @param tooDeep makes the error for text that is nested much deeper than `MAX_DEPTH`
 * @throws Problem `invalid-json`
 */
export function parseJson(input: Buffer | string, what: string, tooDeep: (text: string) => Error): unknown {
  const text = input.toString()
  if (text.length > SHORT_TEXT && isDeeper(text, MAX_DEPTH + ENVELOPE_LEVELS)) throw tooDeep(text)
  try {
    return JSON.parse(text) as unknown
  } catch (err) {
    throw new Problem('invalid-json', `${what} is not JSON: ${err instanceof Error ? err.message : String(err)}.`)
  }
}
