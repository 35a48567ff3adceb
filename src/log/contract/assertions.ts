/** The assertions of the contract. A failure names what was checked, and shows the difference. */
import { AssertionError, deepStrictEqual, notStrictEqual, strictEqual } from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { monotonicNow } from '../../model/clock.js'

export { rejects } from 'node:assert/strict'

/** The time limit for a condition, in milliseconds. */
const DEADLINE = 10_000

/** Checks that two values are deeply and strictly equal. */
export function same(actual: unknown, expected: unknown, what?: string): void {
  explain(what, () => deepStrictEqual(actual, expected))
}

/** Checks that two values are the same. */
export function equal(actual: unknown, expected: unknown, what?: string): void {
  explain(what, () => strictEqual(actual, expected))
}

/** Checks that two values differ. */
export function differ(actual: unknown, other: unknown, what?: string): void {
  explain(what, () => notStrictEqual(actual, other))
}

/**
 * Checks that a condition holds.
 * @param fault says what is wrong if it does not hold
 */
export function ok(holds: boolean, fault: string): void {
  if (!holds) throw new AssertionError({ message: fault, actual: false, expected: true, operator: '==' })
}

/** Checks that a value has the members of `expected`, deeply. A list has no further elements. */
export function has(actual: unknown, expected: object, what?: string): void {
  same(part(actual, expected), expected, what)
}

/** Returns the part of a value that `expected` names. */
function part(actual: unknown, expected: unknown): unknown {
  if (!isObject(actual) || !isObject(expected)) return actual
  if (Array.isArray(expected)) {
    return Array.isArray(actual) ? actual.map((value: unknown, index) => part(value, expected[index])) : actual
  }
  const members = actual as Record<string, unknown>
  return Object.fromEntries(Object.entries(expected).map(([name, value]) => [name, part(members[name], value)]))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Puts a description before the message of a failed check. */
function explain(what: string | undefined, check: () => void): void {
  try {
    check()
  } catch (err) {
    if (what !== undefined && err instanceof Error) err.message = `expected: ${what}\n${err.message}`
    throw err
  }
}

/**
 * Waits until a condition is true.
 * @param describe says what is the case instead, when the time is over
 */
export async function until(condition: () => Promise<boolean>, describe: () => string): Promise<void> {
  const end = monotonicNow() + DEADLINE
  while (!(await condition())) {
    if (monotonicNow() > end) throw new AssertionError({ message: `after ${DEADLINE} ms ${describe()}` })
    await delay(5)
  }
}
