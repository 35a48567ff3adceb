/** Random events, selections and reads. */
import { isType, type NewEvent } from '../../model/event.js'
import { Selection } from '../../model/selection.js'
import type { Random } from './random.js'

export const TOPICS = ['a', 'b', 'a.b', 'a.c', 'b.c', 'a.b.c']
const PATTERNS = [...TOPICS, '*', '**', 'a.*', '*.c', 'a.**', 'nobody', '*.b.*']

/** Characters that end a line, start a field or are invisible in some parser. */
const TRAPS = [...Array.from('\0\r\n\u000b\u000c\u0085\u2028\u2029\ufeff :"\\é'), '𝄞', 'data: x', '\nid: 1\n', '\r\n']
/** The characters that a value of an attribute cannot have (CloudEvents 1.0, "Type System", String). */
const NO_VALUE = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/gu
const NAME = Array.from('abcdefghijklmnopqrstuvwxyz0123456789')

export function smallEvent(random: Random): NewEvent {
  return {
    topic: random.pick(TOPICS),
    type: random.pick([undefined, undefined, 'x', 'y']),
    id: random.once(5) ? undefined : random.pick(['1', '2', '3']),
    kind: 'text',
    payload: 'p'.repeat(random.between(1, 20)),
  }
}

/** Batches without publisher ids: the n-th event has the sequence n. */
export function anyAppends(random: Random): NewEvent[][] {
  return random.list(0, 8, () => random.list(1, 6, () => ({ ...smallEvent(random), id: undefined })))
}

export function anySelection(random: Random, types = true): Selection {
  return new Selection(
    random.list(1, 3, () => random.pick(PATTERNS)),
    types ? random.list(0, 2, () => random.pick(['x', 'y', 'z'])) : [],
  )
}

/** Events to append, or a topic to purge. */
export type AnyChange = NewEvent[] | string

export function anyChanges(random: Random): AnyChange[] {
  return random.list(0, 15, () => (random.once(5) ? random.pick(TOPICS) : random.list(1, 6, smallEvent)))
}

export interface AnyRead {
  selection: Selection
  after: number
  until: number | undefined
  events: number
  bytes: number | undefined
}

export function anyReads(random: Random): AnyRead[] {
  return random.list(1, 5, () => ({
    selection: anySelection(random),
    after: random.between(0, 40),
    until: random.once(6) ? undefined : random.between(0, 40),
    events: random.between(1, 10),
    bytes: random.once(6) ? undefined : random.between(1, 60),
  }))
}

/** Events that the hub accepts. */
export function anyEvent(random: Random): NewEvent {
  const base = { topic: random.pick(TOPICS), attributes: random.once(6) ? undefined : anyAttributes(random) }
  const id = () => Array.from({ length: 32 }, () => random.pick(NAME)).join('')
  switch (random.pick(['text', 'json', 'bytes'] as const)) {
    case 'text':
      return {
        ...base,
        type: random.once(6) ? undefined : anyType(random),
        id: undefined,
        kind: 'text',
        payload: anyText(random, 40),
      }
    case 'json':
      return { ...base, type: undefined, id: id(), kind: 'json', payload: JSON.stringify(anyJson(random, 3)) }
    case 'bytes':
      return {
        ...base,
        type: random.pick([undefined, 'image']),
        id: random.once(6) ? undefined : id(),
        kind: 'bytes',
        payload: anyBytes(random).toString('base64'),
      }
  }
}

/** Returns a text of well-formed Unicode, half of it traps for parsers. */
function anyText(random: Random, max: number): string {
  return random.text(max, () => (random.once(2) ? random.pick(TRAPS) : anyCharacter(random)))
}

/** Returns a character of one to four bytes of UTF-8: each length is as likely as the others. */
function anyCharacter(random: Random): string {
  const code = random.below(random.pick([0x80, 0x800, 0xd800, 0x110000]))
  return String.fromCodePoint(code >= 0xd800 && code < 0xe000 ? code - 0x800 : code)
}

function anyType(random: Random): string | undefined {
  const type = anyText(random, 20)
  return isType(type) ? type : random.pick(['x', 'Grüße ☃ 🎉', ' ', 'a: b'])
}

/** Returns attributes as the log gets them, `undefined` for none. */
function anyAttributes(random: Random): string | undefined {
  const attributes = random
    .list(1, 16, () => [
      Array.from({ length: random.between(1, 20) }, () => random.pick(NAME)).join(''),
      anyText(random, 60).replaceAll(NO_VALUE, ''),
    ])
    .filter(([, value]) => value !== '')
  return attributes.length > 0 ? JSON.stringify(Object.fromEntries(attributes)) : undefined
}

/** @param depth how deep lists and objects may be nested */
function anyJson(random: Random, depth: number): unknown {
  const value = random.below(depth > 0 ? 7 : 5)
  if (value === 0) return null
  if (value === 1) return random.once(2)
  if (value === 2) return random.between(-1e9, 1e9)
  if (value === 3) return random.between(-1e9, 1e9) / 1e7
  if (value === 4) return anyText(random, 20)
  if (value === 5) return random.list(0, 4, () => anyJson(random, depth - 1))
  return Object.fromEntries(random.list(0, 4, () => [anyText(random, 10), anyJson(random, depth - 1)]))
}

/** Returns few bytes, or some thousands, which a log may store in another way. */
function anyBytes(random: Random): Buffer {
  const length = random.once(2) ? random.between(0, 60) : random.between(5_000, 6_000)
  return Buffer.from(Array.from({ length }, () => random.below(256)))
}
