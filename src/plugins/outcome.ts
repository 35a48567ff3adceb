/** The outcome of an operation in another process: a refusal comes back as if the operation had run in this process. */
import { Problem, refusals, type ProblemCode } from '../errors.js'
import { either, isMissing, isNumber, isString, optional, shapeOf, type Check } from '../model/shape.js'
import { toProblem } from './errors.js'

/** A refusal as plain data. */
interface Refusal {
  code: string
  detail: string
  extensions: Record<string, unknown>
  retryAfter: number | undefined
}

/** Plain data that JSON can carry. */
export type Outcome = { value: unknown } | { refusal: Refusal }

const isRefused = shapeOf({
  refusal: shapeOf<Refusal>({
    code: isString,
    detail: isString,
    extensions: shapeOf<Record<string, unknown>>({}),
    retryAfter: optional(isNumber),
  }),
})

/** Returns a check of an outcome of another process by the check of its value. */
export function outcomeWith(isValue: Check<unknown>): Check<Outcome> {
  return either(isRefused, shapeOf({ value: isValue, refusal: isMissing })) // JSON omits a value of `undefined`
}

/**
 * Runs an operation for another process.
 * @param onFault called with the cause of a failure that the other process is not told
 */
export async function outcomeOf(operation: () => unknown, onFault: (err: unknown) => void): Promise<Outcome> {
  try {
    return { value: await operation() }
  } catch (err) {
    const { code, message, extensions, retryAfter, status, cause, isTemporary } = toProblem(err)
    if (status >= 500 && !isTemporary) onFault(cause ?? err)
    return { refusal: { code, detail: message, extensions, retryAfter } }
  }
}

/**
 * Returns the value of an outcome.
 * @throws Problem as the operation has thrown it
 */
export function valueOf(outcome: Outcome): unknown {
  if ('value' in outcome) return outcome.value
  if (!('refusal' in outcome)) return undefined // JSON omits a value of `undefined`
  const { code, detail, extensions, retryAfter } = outcome.refusal
  const known: ProblemCode = Object.hasOwn(refusals, code) ? (code as ProblemCode) : 'internal-error'
  throw new Problem(known, detail, extensions, retryAfter === undefined ? {} : { retryAfter })
}
