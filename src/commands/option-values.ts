/** Parses the values of options. A wrong value is a mistake in the command line, and its message names the option. */
import { InvalidArgumentError } from '@commander-js/extra-typings'
import { parseDuration, parseSize } from '../model/units.js'

/** Collects the values of an option that may be repeated. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value]
}

/** Parses a whole number from 1. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number from 1.')
  return Number(text)
}

/** Parses a positive number, which may have a fraction. */
export function rate(text: string): number {
  const value = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || !(value > 0)) throw new InvalidArgumentError('It is a number above 0.')
  return value
}

/** Parses a duration into milliseconds. */
export function duration(text: string): number {
  const value = parseDuration(text)
  if (value === undefined) throw new InvalidArgumentError('It is a duration such as 250ms, 15s or 2m.')
  return value
}

/** Parses a size into bytes. A number alone counts bytes. */
export function size(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : parseSize(text)
  if (value === undefined) throw new InvalidArgumentError('It is a size such as 100, 4KiB or 1MiB.')
  return value
}
