/** Reads numbers in a query. */
import { Problem } from '../../errors.js'

/**
 * Reads a whole number.
 * @param name the name of the parameter, for the message
 * @throws Problem `invalid-request`
 */
export function readCount(name: string, text: string, min: number, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : NaN
  if (count >= min && count <= max) return count
  throw new Problem(
    'invalid-request',
    `${name} must be a whole number from ${min} to ${max.toLocaleString('en')}${name === 'replay' ? ', or "all", or "latest"' : ''}.`,
  )
}
