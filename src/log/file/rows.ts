/** Events as they are stored, and as everybody else knows them. */
import type { NewEvent, StoredEvent } from '../../hub/event.js'
import type { EventRow } from './store.js'

export function toRow(event: NewEvent, time: number): EventRow {
  return [event.topic, time, event.kind === 'text', event.type ?? null, event.id ?? null, event.payload]
}

export function toEvent(sequence: number, [topic, time, isText, type, id, payload]: EventRow): StoredEvent {
  return { sequence, time, topic, type: type ?? undefined, id: id ?? undefined, kind: isText ? 'text' : 'json', payload }
}
