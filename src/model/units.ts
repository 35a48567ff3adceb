/** Parses and prints durations and sizes. */

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** The syntax of a duration, as the source of a regular expression. */
export const DURATION_SYNTAX = `^\\d{1,15}(?:\\.\\d{1,6})?(?:${Object.keys(MILLISECONDS).join('|')})$`
/** The maximum time to drain, in milliseconds. A longer time is a mistake, such as a timestamp. */
export const MAX_DRAIN = 86_400_000
const BYTES: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
}

/** Parses a duration such as `250ms`, `15s` or `24h` into milliseconds; `undefined` if invalid. */
export function parseDuration(text: string): number | undefined {
  return parse(text, MILLISECONDS)
}

/** Parses a size such as `256KiB` or `1GiB` into bytes; `undefined` if invalid. */
export function parseSize(text: string): number | undefined {
  return parse(text, BYTES)
}

/** Prints a size with the largest unit that gives at least 1. */
export function printSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let power = 0
  while (bytes >= 1024 ** (power + 1) && power < units.length - 1) power++
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]!}`
}

function parse(text: string, units: Record<string, number>): number | undefined {
  const [, number, unit] = /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]{1,3})$/.exec(text) ?? []
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined
  const value = factor === undefined ? NaN : Math.round(Number(number) * factor)
  return Number.isSafeInteger(value) ? value : undefined
}
