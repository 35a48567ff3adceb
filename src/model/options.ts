/** Checks the options of a call. A program without types may pass anything. */
import { HubError } from './hub-error.js'
import { quote } from './quote.js'

/**
 * Checks that a value is an object with no other members than these.
 * @param what the name of the options in the message, such as `The options of a list`
 * @throws HubError `invalid-request`
 */
export function requireOptions<Name extends string>(
  options: unknown,
  what: string,
  names: readonly Name[],
): Partial<Record<Name, unknown>> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new HubError('invalid-request', `${what} must be an object with ${names.join(', ')}, not ${quote(options)}.`)
  const unknown = Object.keys(options).find((name) => !names.includes(name as Name))
  if (unknown !== undefined)
    throw new HubError('invalid-request', `${what} have no ${quote(unknown)}: they are ${names.join(', ')}.`)
  return options
}
