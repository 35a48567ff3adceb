/** Reads numbers in a query. */
import { Problem } from '../../errors.js'
import type { Range } from '../../schemas/parameters.js'

/**
 * Reads a whole number.
 * @param name the name of the parameter, for the message
 * @param range also has the value of a missing parameter
 * @throws Problem `invalid-request`
 */
export function readCount(name: string, text: string | undefined, range: Range): number {
  const { minimum, maximum } = range
  if (text === undefined && range.default !== undefined) return range.default
  const count = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (count >= minimum && count <= maximum) return count
  throw new Problem(
    'invalid-request',
    `${name} must be a whole number from ${minimum} to ${maximum.toLocaleString('en')}${name === 'replay' ? ', or "all", or "latest"' : ''}.`,
  )
}
