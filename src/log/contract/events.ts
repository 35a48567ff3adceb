/** Shorthands for events and for the answers of a log. */
import { monotonicNow } from '../../model/clock.js'
import type { NewEvent, StoredEvent } from '../../model/event.js'
import type { Selection } from '../../model/selection.js'
import type { Appended } from '../log.js'

/** Returns an event for the log. The default payload is the topic's name. */
export function event(topic: string, { payload = topic, type, id, kind = 'text' }: Partial<NewEvent> = {}): NewEvent {
  return { topic, type, id, kind, payload }
}

export function manyEvents(count: number, topic?: string): NewEvent[] {
  return Array.from({ length: count }, (_, n) => event(topic ?? `t.${n % 3}`))
}

/** The answer for a stored event. */
export function stored(sequence: number): Appended {
  return { sequence, duplicate: false }
}

/** The answer for a duplicate. */
export function duplicate(sequence: number): Appended {
  return { sequence, duplicate: true }
}

/** Returns an event as an object with all members, including undefined ones. */
export function plain({ sequence, time, topic, type, id, attributes, kind, payload }: StoredEvent): StoredEvent {
  return { sequence, time, topic, type, id, attributes, kind, payload }
}

export function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, index) => start + index)
}

export function sequences(page: { events: readonly StoredEvent[] }): number[] {
  return page.events.map(({ sequence }) => sequence)
}

/** An event and its sequence, for a model of the log. */
export type Numbered = NewEvent & { sequence: number }

/** Returns the events of appends to an empty log, of which none is a duplicate. */
export function numbered(batches: readonly (readonly NewEvent[])[]): Numbered[] {
  return batches.flat().map((event, index) => ({ ...event, sequence: index + 1 }))
}

export function isOf(selection: Selection): (event: NewEvent) => boolean {
  return ({ topic, type }) => selection.hasTopic(topic) && selection.hasType(type)
}

/** Blocks the event loop for 0.5 ms, and returns `false`. */
export function burn(): false {
  for (const end = monotonicNow() + 0.5; monotonicNow() < end;);
  return false
}
