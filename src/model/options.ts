/** Checks the options of a call. A program without types may pass anything. */
import { HubError, type HubErrorCode } from './hub-error.js'
import { quote } from './quote.js'

/**
 * Checks that a value is an object with no members other than `names`.
 * @param what the name of the options in the message, such as `The options of a list`
 * @param code the code of the refusal
 * @throws HubError with this code
 */
export function requireOptions<Name extends string>(
  options: unknown,
  what: string,
  names: readonly Name[],
  code: HubErrorCode = 'invalid-request',
): Partial<Record<Name, unknown>> {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new HubError(code, `${what} must be an object with ${names.join(', ')}, not ${quote(options)}.`)
  const unknown = Object.keys(options).find((name) => !names.includes(name as Name))
  if (unknown !== undefined)
    throw new HubError(code, `${what} have no ${quote(unknown)}: they are ${names.join(', ')}.`)
  return options
}
