/**
 * A finite topic as events of the log. Each message is an event without a type, and the end is an event of the type
 * `fanfare.end`. What else an append carries is in the attributes of its last event, which subscribers never see.
 */
import { END_TYPE } from '../../model/end-type.js'
import type { NewEvent, ScannedEvent } from '../../model/event.js'
import { withTrace, type TraceContext } from '../../model/trace-context.js'
import type { EndStatus, Message, Producer } from './finite-topic.js'

/** What an append carries besides its messages. */
export interface Note {
  producer?: Producer | undefined
  order?: string | undefined
  lease?: number | undefined
}

/** The names of the parts of a note. Attributes of publishers have no `#`, so `model/attributes.ts` knows a note. */
interface StoredNote {
  '#p'?: string
  '#e'?: string
  '#s'?: string
  '#o'?: string
  '#l'?: string
}

const STATUSES: readonly string[] = ['done', 'error', 'cancelled', 'expired'] satisfies EndStatus[]

/**
 * Returns the events of an append. The last one has the note.
 * @param trace the trace that the append belongs to
 */
export function toEvents(
  topic: string,
  messages: readonly Message[],
  end: EndStatus | undefined,
  note: Note,
  trace?: TraceContext,
): NewEvent[] {
  const attributes = trace && { attributes: withTrace(undefined, trace) }
  const events = messages.map(({ kind, payload }): NewEvent => ({
    topic,
    type: undefined,
    id: undefined,
    kind,
    payload,
    ...attributes,
  }))
  if (end !== undefined)
    events.push({
      topic,
      type: END_TYPE,
      id: undefined,
      kind: 'json',
      payload: JSON.stringify({ status: end }),
      ...attributes,
    })
  const noted = encodeNote(note, trace)
  const last = events.at(-1)
  if (last && noted !== undefined) last.attributes = noted
  return events
}

/** Returns how an event ends its topic; `undefined`: it is a message. */
export function endOf({ type, payload }: Pick<ScannedEvent, 'type' | 'payload'>): EndStatus | undefined {
  if (type !== END_TYPE) return undefined
  const { status } = JSON.parse(payload.toString()) as { status: string }
  return STATUSES.includes(status) ? (status as EndStatus) : 'error'
}

/** Returns the note of an event. */
export function noteOf({ attributes }: Pick<ScannedEvent, 'attributes'>): Note {
  if (attributes === undefined || !attributes.includes('"#')) return {}
  const stored = JSON.parse(attributes) as StoredNote
  const id = stored['#p']
  const note: Note = {}
  if (id !== undefined) note.producer = { id, epoch: Number(stored['#e']), seq: Number(stored['#s']) }
  if (stored['#o'] !== undefined) note.order = stored['#o']
  if (stored['#l'] !== undefined) note.lease = Number(stored['#l'])
  return note
}

/** Writes a note behind the attributes that subscribers see. */
function encodeNote({ producer, order, lease }: Note, trace: TraceContext | undefined): string | undefined {
  if (!producer && order === undefined && lease === undefined) return undefined
  const stored: StoredNote = {}
  if (producer) {
    stored['#p'] = producer.id
    stored['#e'] = String(producer.epoch)
    stored['#s'] = String(producer.seq)
  }
  if (order !== undefined) stored['#o'] = order
  if (lease !== undefined) stored['#l'] = String(lease)
  return JSON.stringify({ traceparent: trace?.traceparent, tracestate: trace?.tracestate, ...stored })
}
