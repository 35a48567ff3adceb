/** Checks a log that an application passes to the hub. */
import { isEpoch } from '../model/cursor.js'
import type { EventLog, KeyValue, LogView } from './log.js'

/** The members of `EventLog`. */
const LOG_MEMBERS = [
  'view',
  'records',
  'append',
  'follow',
  'scan',
  'locate',
  'newest',
  'topic',
  'topics',
  'purge',
  'halt',
  'close',
] as const satisfies (keyof EventLog)[]

/** The methods of a log's records. */
const RECORDS_MEMBERS = ['get', 'list', 'put', 'swap', 'delete', 'watch'] as const satisfies (keyof KeyValue)[]

/** Returns the members of a log that a value lacks, or has with a wrong type. */
export function missingMembers(value: object): string[] {
  const log = value as Partial<Record<keyof EventLog, unknown>>
  return LOG_MEMBERS.flatMap((member) => {
    if (member === 'view') return missingOfView(log.view)
    if (member === 'records') return missingOfRecords(log.records)
    return typeof log[member] === 'function' ? [] : [member]
  })
}

function missingOfView(view: unknown): string[] {
  if (typeof view !== 'object' || view === null) return ['view']
  const { epoch, head, mark, stats } = view as Partial<Record<keyof LogView, unknown>>
  const isCounted = (count: unknown) => Number.isSafeInteger(count) && Number(count) >= 0
  return [
    ...(isEpoch(epoch) ? [] : ['view.epoch (8 characters of a-z and 0-9)']),
    ...(isCounted(head) ? [] : ['view.head']),
    ...(isCounted(mark) ? [] : ['view.mark']),
    ...(typeof stats === 'function' ? [] : ['view.stats']),
  ]
}

function missingOfRecords(records: unknown): string[] {
  if (typeof records !== 'object' || records === null) return ['records']
  return RECORDS_MEMBERS.filter(
    (member) => typeof (records as Partial<Record<string, unknown>>)[member] !== 'function',
  ).map((member) => `records.${member}`)
}
