/**
 * The body of a batch. It may have many megabytes, and `JSON.parse` would hold the event loop for all of them: so it is
 * split into the texts of its events, and each of these is parsed on its own, a few milliseconds of them in a turn. A
 * small body is parsed as a whole, which takes half the time; when anything is wrong with it, it is split too, to say
 * what.
 */
import { isUtf8 } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Problem } from '../errors.js'
import { BATCH_MAX, type CheckedEvent } from '../model/event.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'
import { TimeSlice } from '../event-loop/time-slice.js'
import { LARGE_EVENT, type IncomingEvents } from './incoming-events.js'

/** A body of at most so many bytes is small. */
const SMALL = 64 * 1024
/** What a body may have that makes it hard to say whether it has one member only. */
const ESCAPE = '\\u'

/**
 * Reads the events of a batch: `{ "events": [ … ] }`.
 * @param body UTF-8
 * @throws Problem, HubError for the first fault that is met
 */
export async function readBatch(body: Buffer, events: IncomingEvents): Promise<CheckedEvent[]> {
  return readSmall(body, events) ?? (await readInParts(body, events))
}

/** @returns `undefined` when the body is not small, takes long, or anything is wrong with it */
function readSmall(body: Buffer, events: IncomingEvents): CheckedEvent[] | undefined {
  if (body.length > Math.min(SMALL, events.maxLength) || !isUtf8(body)) return undefined
  const text = body.toString()
  if (text.indexOf('"events"') !== text.lastIndexOf('"events"') || text.includes(ESCAPE)) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  const inputs = eventsOf(parsed)
  if (!inputs || inputs.length === 0 || inputs.length > BATCH_MAX) return undefined
  const slice = new TimeSlice()
  const checked: CheckedEvent[] = []
  for (const input of inputs) {
    const event = events.accept(input)
    if (!event || slice.isOver) return undefined
    checked.push(event)
  }
  return checked
}

/** Returns the events of a batch; `undefined` when it has no array of them, or something else too. */
function eventsOf(parsed: unknown): unknown[] | undefined {
  if (typeof parsed !== 'object' || parsed === null || !('events' in parsed) || Object.keys(parsed).length > 1)
    return undefined
  return Array.isArray(parsed.events) ? parsed.events : undefined
}

async function readInParts(body: Buffer, events: IncomingEvents): Promise<CheckedEvent[]> {
  const texts: Buffer[] = []
  const checked: CheckedEvent[] = []
  let slice = new TimeSlice(1)
  for (const part of splitBatch(body, events.maxLength)) {
    if (part === TOO_LONG) throw naming(events.tooLong(), texts.length)
    if (part) texts.push(part)
    if (slice.isOver) slice = await nextSlice()
  }
  for (const [index, text] of texts.entries()) {
    try {
      const input = events.parse(text)
      if (text.length > LARGE_EVENT) slice = await nextSlice()
      checked.push(events.check(input, pathOf(index)))
    } catch (err) {
      throw naming(err, index)
    }
    if (slice.isOver) slice = await nextSlice()
  }
  return checked
}

async function nextSlice(): Promise<TimeSlice> {
  await nextTurn()
  return new TimeSlice(1)
}

/** Has a refusal name the event of a batch that it is about. */
function naming(err: unknown, index: number): unknown {
  if (err instanceof HubError) err.index = index
  if (!(err instanceof Problem) || err.extensions['errors'] !== undefined) return err
  return new Problem(err.code, err.message, {
    ...err.extensions,
    errors: [{ path: pathOf(index), message: err.message }],
  })
}

function pathOf(index: number): string {
  return `/events/${index}`
}

const TAB = 0x09,
  LF = 0x0a,
  CR = 0x0d,
  SPACE = 0x20
const QUOTE = 0x22,
  BACKSLASH = 0x5c,
  COMMA = 0x2c,
  COLON = 0x3a
const OPENING_BRACKET = 0x5b,
  CLOSING_BRACKET = 0x5d,
  OPENING_BRACE = 0x7b,
  CLOSING_BRACE = 0x7d
/** `[` and `{` differ in this bit only, and so do `]` and `}`. */
const BRACE_BIT = 0x20
/** What other JSON values than objects begin with. */
const OTHER_VALUE = /^(?:[["]|true|false|null|-?\d)/
/** The longest name of a member that is read, in bytes. */
const MAX_NAME = 1_000
/** Of so many bytes of white space one part is given, so that the reader can look at the clock. */
const SPACE_PART = 256 * 1024

/** An event that has more bytes than it may. */
export const TOO_LONG = Symbol('an event that is too long')

/**
 * Yields the text of each event of a batch, which may be no JSON; `undefined` now and then where there is nothing but
 * white space; and `TOO_LONG` in the place of an event that is too long. Everything around the events is checked.
 * @param maxLength the most bytes of an event
 * @throws Problem `invalid-json`, `invalid-request`
 */
export function* splitBatch(body: Buffer, maxLength: number): Generator<Buffer | typeof TOO_LONG | undefined> {
  let at = 0
  let isRead = false

  yield* space()
  if (body[at] !== OPENING_BRACE) {
    throw OTHER_VALUE.test(body.toString('latin1', at, at + 5)) ? wrongShape('', 'must be object') : unexpected('"{"')
  }
  at++
  yield* space()
  while (body[at] !== CLOSING_BRACE) {
    const name = readName()
    yield* space()
    expect(COLON, '":"')
    yield* space()
    if (name !== 'events') throw wrongShape(`/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, 'is not known')
    if (isRead) throw wrongShape('/events', 'is there twice')
    isRead = true
    yield* elements()
    yield* space()
    if (body[at] === CLOSING_BRACE) break
    expect(COMMA, '"," or "}"')
    yield* space()
    if (body[at] === CLOSING_BRACE) throw unexpected('the name of a member')
  }
  at++
  yield* space()
  if (at < body.length) throw unexpected('the end')
  if (!isRead) throw wrongShape('', 'must have required properties events')

  /** The elements of the array that begins here. */
  function* elements(): Generator<Buffer | typeof TOO_LONG | undefined> {
    if (body[at] !== OPENING_BRACKET) throw wrongShape('/events', 'must be array')
    at++
    yield* space()
    if (body[at] === CLOSING_BRACKET) throw wrongShape('/events', 'must not have fewer than 1 items')
    for (let count = 1; ; count++) {
      if (count > BATCH_MAX) throw wrongShape('/events', `must not have more than ${BATCH_MAX} items`)
      const end = endOfValue(body, at, at + maxLength + 1)
      if (end === at) throw unexpected('a value')
      yield end - at > maxLength ? TOO_LONG : body.subarray(at, end)
      at = end
      if (isSpace(body[at])) yield* space()
      if (body[at] === CLOSING_BRACKET) break
      expect(COMMA, '"," or "]"')
      if (isSpace(body[at])) yield* space()
    }
    at++
  }

  /** Skips white space. */
  function* space(): Generator<undefined> {
    while ((at = endOfSpace(body, at, at + SPACE_PART)) < body.length && isSpace(body[at])) yield
  }

  function readName(): string {
    const end = body[at] === QUOTE ? endOfValue(body, at, at + MAX_NAME) : at
    try {
      const name = JSON.parse(body.toString('utf8', at, end)) as string
      at = end
      return name
    } catch {
      throw unexpected('the name of a member')
    }
  }

  function expect(character: number, what: string): void {
    if (body[at] !== character) throw unexpected(what)
    at++
  }

  function unexpected(what: string): Problem {
    const found = at < body.length ? quote(String.fromCharCode(body[at]!)) : 'the end'
    return new Problem('invalid-json', `The body is not JSON: ${what} was expected at byte ${at}, not ${found}.`)
  }
}

/**
 * Returns the index behind a value, whose inside is not checked.
 * @param limit where to stop at the latest
 */
function endOfValue(body: Buffer, start: number, limit: number): number {
  const end = Math.min(limit, body.length)
  let depth = 0
  for (let at = start; at < end; at++) {
    const byte = body[at]!
    if (byte === QUOTE) {
      at = endOfString(body, at, end)
      if (depth === 0) return Math.min(at + 1, end)
    } else if ((byte | BRACE_BIT) === OPENING_BRACE) depth++
    else if ((byte | BRACE_BIT) === CLOSING_BRACE) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (byte === COMMA || isSpace(byte))) return at
  }
  return end
}

/** Returns the index behind white space, or `limit`. */
function endOfSpace(body: Buffer, start: number, limit: number): number {
  const end = Math.min(limit, body.length)
  let at = start
  while (at < end && isSpace(body[at])) at++
  return at
}

/** Returns the index of the quote that ends the string which begins at `start`; `end` if there is none before. */
function endOfString(body: Buffer, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = body[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return end
}

/** RFC 8259, 2. */
function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === TAB
}

function wrongShape(path: string, message: string): Problem {
  return new Problem('invalid-request', `The body is not as it should be: ${path === '' ? 'it' : path} ${message}.`, {
    errors: [{ path, message }],
  })
}
