/** Checks of the shape of plain data from another process, which may have another version. */

/** Returns whether a value has a shape. Members that the shape does not name are ignored: a newer version adds some. */
export type Check<T> = (value: unknown) => value is T

// eslint-disable-next-line @typescript-eslint/no-unused-vars -- a type predicate has to name it
export const isAnything: Check<unknown> = (_value): _value is unknown => true
export const isString: Check<string> = (value) => typeof value === 'string'
export const isNumber: Check<number> = (value) => typeof value === 'number'
/** Checks a time of the wall clock in milliseconds, in the range of `Date`. */
export const isTime: Check<number> = (value): value is number => isNumber(value) && Math.abs(value) <= 8.64e15
export const isBoolean: Check<boolean> = (value) => typeof value === 'boolean'

export const isMissing: Check<undefined> = (value) => value === undefined

/** Returns a check of one of several strings. */
export function oneOf<T extends string>(...allowed: readonly T[]): Check<T> {
  return (value): value is T => (allowed as readonly unknown[]).includes(value)
}

/** Returns a check that a missing value passes too. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value)
}

/** Returns a check that `null` passes too. */
export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value): value is T | null => value === null || check(value)
}

/** Returns a check of a value of one of two shapes. */
export function either<A, B>(one: Check<A>, other: Check<B>): Check<A | B> {
  return (value): value is A | B => one(value) || other(value)
}

/** Returns a check of an array. */
export function arrayOf<T>(check: Check<T>): Check<T[]> {
  return (value): value is T[] => Array.isArray(value) && value.every((item) => check(item))
}

/** Returns a check of an array with one value for each check. */
export function tupleOf<T extends readonly unknown[]>(...checks: { readonly [I in keyof T]: Check<T[I]> }): Check<T> {
  return (value): value is T =>
    Array.isArray(value) && value.length === checks.length && checks.every((check, index) => check(value[index]))
}

/** Returns a check of an object by the checks of its members. */
export function shapeOf<T extends object>(members: { readonly [K in keyof T]-?: Check<T[K]> }): Check<T> {
  const checks = Object.entries<Check<unknown>>(members)
  return (value): value is T =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    checks.every(([name, check]) => check((value as Record<string, unknown>)[name]))
}
