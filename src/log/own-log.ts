/** Checks a log that an application passes to the hub. */
import type { EventLog } from './log.js'

/** The members of `EventLog`. */
export const LOG_MEMBERS = [
  'view',
  'records',
  'append',
  'follow',
  'scan',
  'locate',
  'newest',
  'topic',
  'setTopic',
  'topics',
  'purge',
  'halt',
  'close',
] as const satisfies (keyof EventLog)[]

/** Returns the members of a log that a value lacks. A program without types may pass anything. */
export function missingMembers(value: object): string[] {
  return LOG_MEMBERS.filter((member) => {
    const kind = typeof (value as Record<string, unknown>)[member]
    return kind !== (member === 'view' || member === 'records' ? 'object' : 'function')
  })
}
