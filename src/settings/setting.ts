/** The kinds of settings. Each kind reads and writes the text of an environment variable. */
import { MAX_DRAIN, parseDuration, parseSize } from '../model/units.js'

/** The maximum number of processes. A typing mistake must not start thousands. */
const MAX_PROCESSES = 1_000

/** One setting: its description, and how its value is read and written. */
export interface Setting<T> {
  /** The name of the environment variable. */
  variable: string
  /** The value of an unset variable, in the form of the environment. */
  default?: string
  description: string
  /** The form of the value, as it follows "must be" in messages. */
  expects: string
  /** The kind of value that the option takes besides a string of that form. */
  kind?: Kind
  /** @throws Error whose message names the fault and starts with "must be" */
  parse: (text: string) => T
  /** Writes a value in the form of the environment. */
  print(value: T): string
}

/** The type of the value of a setting. */
export type ValueOf<S> = S extends Setting<infer T> ? T : never

/** The kinds of options that are not strings: the words in messages, and the check of a value. */
export const KINDS = {
  milliseconds: ['a whole number of milliseconds', isWhole],
  bytes: ['a whole number of bytes', isWhole],
  count: ['a whole number', isWhole],
  flag: ['true or false', (value: unknown) => typeof value === 'boolean'],
  list: [
    'an array of strings',
    (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes(',')),
  ],
} as const satisfies Record<string, [words: string, is: (value: unknown) => boolean]>

type Kind = keyof typeof KINDS

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/**
 * Makes a setting.
 * @param parse returns `undefined` for a text of the wrong form, or throws an Error whose message starts with "must be"
 */
export function setting<T>(
  form: Omit<Setting<T>, 'parse' | 'print'>,
  parse: (text: string) => T | undefined,
  print: (value: T) => string = String,
): Setting<T> {
  return {
    ...form,
    parse(text) {
      const value = parse(text)
      if (value === undefined) throw new Error(`must be ${form.expects}`)
      return value
    },
    print,
  }
}

/** Makes a setting optional: it has no default and may be `undefined`. */
export function optional<T>(required: Setting<T>): Setting<T | undefined> {
  return required
}

/** A time in milliseconds. */
export function duration(variable: string, fallback: string, description: string): Setting<number> {
  const expects = 'a duration such as 250ms, 15s or 24h'
  return setting(
    { variable, default: fallback, description, expects, kind: 'milliseconds' },
    parseDuration,
    printDuration,
  )
}

/** A time in milliseconds, at most a day. */
export function shortTime(variable: string, fallback: string, description: string): Setting<number> {
  const expects = 'a duration such as 250ms, 15s or 24h, at most 24h'
  return setting(
    { variable, default: fallback, description, expects, kind: 'milliseconds' },
    (written) => atMost(MAX_DRAIN, parseDuration(written)),
    printDuration,
  )
}

/** A time in milliseconds, more than 0. */
export function someTime(variable: string, fallback: string, description: string): Setting<number> {
  const expects = 'a duration such as 250ms, 15s or 24h, more than 0'
  return setting(
    { variable, default: fallback, description, expects, kind: 'milliseconds' },
    (written) => positive(parseDuration(written)),
    printDuration,
  )
}

/** A time in milliseconds; 0 stands for `off`. */
export function durationOrOff(variable: string, description: string): Setting<number> {
  const expects = '"off" or a duration such as 250ms, 15s or 24h'
  return setting(
    { variable, default: 'off', description, expects, kind: 'milliseconds' },
    (written) => (written === 'off' ? 0 : parseDuration(written)),
    printDuration,
  )
}

/** A number of bytes, more than 0. */
export function size(variable: string, fallback: string, description: string): Setting<number> {
  const expects = 'a size such as 256KiB or 1GiB, more than 0'
  return setting(
    { variable, default: fallback, description, expects, kind: 'bytes' },
    (written) => positive(parseSize(written)),
    (bytes) => `${bytes}B`,
  )
}

/** A number of bytes; 0 stands for `auto`. */
export function sizeOrAuto(variable: string, description: string): Setting<number> {
  const expects = '"auto" or a size such as 256KiB or 1GiB, more than 0'
  return setting(
    { variable, default: 'auto', description, expects, kind: 'bytes' },
    (written) => (written === 'auto' ? 0 : positive(parseSize(written))),
    (bytes) => (bytes === 0 ? 'auto' : `${bytes}B`),
  )
}

/** A whole number, 1 or more. */
export function count(variable: string, fallback: string, description: string): Setting<number> {
  const expects = 'a whole number, 1 or more'
  return setting({ variable, default: fallback, description, expects, kind: 'count' }, (written) =>
    /^[1-9]\d*(_\d+)*$/.test(written) && written.length <= 15 ? Number(written.replaceAll('_', '')) : undefined,
  )
}

/** A number of processes; 0 stands for `auto`. */
export function processesOrAuto(variable: string, description: string): Setting<number> {
  const expects = `"auto" or a whole number, 1 to ${MAX_PROCESSES}`
  return setting(
    { variable, default: '1', description, expects, kind: 'count' },
    (written) =>
      written === 'auto' ? 0 : /^[1-9]\d{0,3}$/.test(written) ? atMost(MAX_PROCESSES, Number(written)) : undefined,
    (number) => (number === 0 ? 'auto' : String(number)),
  )
}

/** A whole number; 0 stands for `off`. */
export function countOrOff(variable: string, description: string): Setting<number> {
  const expects = '"off" or a whole number, 1 or more'
  return setting(
    { variable, default: 'off', description, expects, kind: 'count' },
    (written) => (written === 'off' ? 0 : /^[1-9]\d{0,14}$/.test(written) ? Number(written) : undefined),
    (number) => (number === 0 ? 'off' : String(number)),
  )
}

/** True or false. */
export function flag(variable: string, description: string, fallback: 'true' | 'false' = 'false'): Setting<boolean> {
  const expects = 'true or false'
  return setting({ variable, default: fallback, description, expects, kind: 'flag' }, (written) =>
    written === 'true' ? true : written === 'false' ? false : undefined,
  )
}

/** Any text that is not empty. */
export function text(variable: string, description: string, fallback?: string): Setting<string> {
  const form = {
    ...(fallback === undefined ? {} : { default: fallback }),
    description,
    expects: 'a string that is not empty',
  }
  return setting({ variable, ...form }, (written) => (written === '' ? undefined : written))
}

/** The path of a file. A certificate or a key itself (PEM) is refused: messages contain the path. */
export function file(variable: string, description: string): Setting<string> {
  const expects = 'the path of a file'
  return setting({ variable, description, expects }, (written) =>
    written === '' || written.includes('-----BEGIN') || /[\0\r\n]/.test(written) ? undefined : written,
  )
}

/** One of a few words. */
export function oneOf<T extends string>(
  variable: string,
  values: readonly T[],
  fallback: T,
  description: string,
): Setting<T> {
  const expects = `one of ${values.join(', ')}`
  return setting({ variable, default: fallback, description, expects }, (written) =>
    values.find((candidate) => candidate === written),
  )
}

/** The form of a setting that is a list. */
interface ListForm {
  variable: string
  description: string
  /** The plural name of the items, as it follows "must be" in messages. */
  items: string
  /** Returns the fault of an item; `undefined` if there is none. */
  faultOf: (item: string) => string | undefined
  /** Returns the fault of the whole list; `undefined` if there is none. */
  faultOfAll?: (items: string[]) => string | undefined
}

/** A list of strings. An unset list is empty. */
export function list({ variable, description, items: what, faultOf, faultOfAll }: ListForm): Setting<string[]> {
  const expects = `${what}, separated by commas`
  return setting({ variable, default: '', description, expects, kind: 'list' }, (written) => {
    const items = itemsOf(written)
    requireNoFault(expects, [...items.map(faultOf), faultOfAll?.(items)])
    return items
  })
}

/** @throws Error naming the expected form and the first fault */
export function requireNoFault(expects: string, faults: (string | undefined)[]): void {
  const fault = faults.find((words) => words !== undefined)
  if (fault !== undefined) throw new Error(`must be ${expects}: ${fault}`)
}

function itemsOf(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function positive(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

function atMost(most: number, value: number | undefined): number | undefined {
  return value === undefined || value > most ? undefined : value
}

function printDuration(milliseconds: number): string {
  return `${milliseconds}ms`
}
