/** A log that an application has made itself. */
import type { EventLog } from './log.js'

/** The members of a log. */
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

/** Returns the members of a log that a value lacks: a program without types may have made it. */
export function missingMembers(value: object): string[] {
  return LOG_MEMBERS.filter((member) => {
    const kind = typeof (value as Record<string, unknown>)[member]
    return kind !== (member === 'view' || member === 'records' ? 'object' : 'function')
  })
}
