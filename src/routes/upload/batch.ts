/**
 * Reads the body of a batch. A body may be many megabytes long, and `JSON.parse` of the whole body would block the
 * event loop. So the body is split into the texts of its events, which are parsed one by one, for a few milliseconds
 * per turn. A small body is parsed as a whole, which takes half the time. If a small body has a fault, it is split too,
 * to find the fault.
 */
import { isUtf8 } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Problem } from '../../errors.js'
import { BATCH_MAX, type CheckedEvent } from '../../model/event.js'
import { HubError } from '../../model/hub-error.js'
import { TimeSlice } from '../../event-loop/time-slice.js'
import { splitBatch, TOO_LONG } from './batch-splitter.js'
import { LARGE_EVENT, type IncomingEvents } from './incoming-events.js'

/** The maximum size of a small body, in bytes. */
const SMALL = 64 * 1024
/** An escape in JSON. A name such as `"\u0065vents"` would hide a second member `events` from a search in the text. */
const ESCAPE = '\\u'

/**
 * Reads the events of a batch: `{ "events": [ … ] }`.
 * @param body UTF-8
 * @throws Problem, HubError for the first fault
 */
export async function readBatch(body: Buffer, events: IncomingEvents): Promise<CheckedEvent[]> {
  return readSmall(body, events) ?? (await readInParts(body, events))
}

/** @returns `undefined` if the body is not small, takes longer than a time slice, or has a fault */
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

/** Returns the array `events` of a parsed batch; `undefined` if it is missing or not the only member. */
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
    if (part === TOO_LONG) throw withIndex(events.tooLong(), texts.length)
    if (part) texts.push(part)
    if (slice.isOver) slice = await nextSlice()
  }
  for (const [index, text] of texts.entries()) {
    try {
      const input = events.parse(text)
      if (text.length > LARGE_EVENT) slice = await nextSlice()
      checked.push(events.check(input, pathOf(index)))
    } catch (err) {
      throw withIndex(err, index)
    }
    if (slice.isOver) slice = await nextSlice()
  }
  return checked
}

async function nextSlice(): Promise<TimeSlice> {
  await nextTurn()
  return new TimeSlice(1)
}

/** Adds the index of the refused event to an error. */
function withIndex(err: unknown, index: number): unknown {
  if (err instanceof HubError) err.index = index
  if (!(err instanceof Problem) || err.extensions['errors'] !== undefined) return err
  return new Problem(err.code, `${pathOf(index)}: ${err.message}`, {
    ...err.extensions,
    errors: [{ path: pathOf(index), message: err.message }],
  })
}

function pathOf(index: number): string {
  return `/events/${index}`
}
