/**
 * Encodes the blocks of a stream as Server-Sent Events.
 * Source: WHATWG HTML, "Server-sent events", 9.2.5 (parsing) and 9.2.6 (interpreting an event stream).
 */
import { Chunk } from './chunk.js'
import type { BatchWriter } from './batch-writer.js'
import { parseCursor, printCursor } from '../model/cursor.js'
import { hasContentType, visibleAttributes } from '../model/attributes.js'
import type { NewEvent, StoredEvent, ScannedEvent } from '../model/event.js'
import { printHead, printPayload } from '../model/history-event.js'
import { payloadOf, type PayloadKind } from '../model/payload.js'

/**
 * The content of an event's `data:`. `raw`: its payload, without its attributes. `json`: the event as in a page of
 * history, without an `event:` line. `cloudevents`: a CloudEvent with the attributes as extension attributes.
 */
export type Format = 'raw' | 'json' | 'cloudevents'

/** The encoding of events on a stream. `topicLine`: each event has a field `topic:`, which EventSource ignores. */
export interface Wire {
  format: Format
  topicLine: boolean
}

/** The reason of a gap. */
export type GapReason = 'expired' | 'epoch' | 'future' | 'invalid' | 'skipped'

/** Why the hub ended a stream. */
export type CloseReason = 'expired' | 'revoked' | 'drain' | 'slow' | 'lifetime' | 'busy'

/** Encodes the blocks of one hub. Their cursors contain the epoch of its log. */
export class Encoder {
  #epoch: string

  constructor(epoch: string) {
    this.#epoch = epoch
  }

  /** Uses the epoch of a log that has replaced the previous one. */
  begin(epoch: string): void {
    this.#epoch = epoch
  }

  /**
   * Encodes one event.
   * @param sequence `undefined` for an ephemeral event, which has no `id:` line
   * @param time the time of publishing, in milliseconds since the Unix epoch
   * @param id the id of a CloudEvent: the cursor, or a unique id for an ephemeral event
   * @param withId whether to write an `id:` line
   */
  event(
    event: NewEvent,
    wire: Wire,
    sequence: number | undefined,
    time: number,
    id: string,
    withId = sequence !== undefined,
  ): Chunk {
    return Chunk.of(
      `${headOf(event, wire, sequence, time, id, withId)}${dataOf(event, wire).toString()}${tailOf(wire)}`,
    )
  }

  /**
   * Encodes events of the log as one chunk.
   * @param withIds `false` for a replay before the subscriber's cursor: no `id:` lines
   */
  events(events: readonly StoredEvent[], wire: Wire, withIds = true): Chunk {
    return Chunk.join(
      events.map((event) => this.event(event, wire, event.sequence, event.time, this.cursor(event.sequence), withIds)),
    )
  }

  /**
   * Encodes the end of a finite topic that lies before the subscriber's cursor.
   * @param id that cursor, so that a reconnect behind the block repeats nothing; `undefined`: no `id:` line
   */
  end(event: StoredEvent, wire: Wire, id: string | undefined): Chunk {
    return Chunk.join([Chunk.of(idLine(id)), this.events([event], wire, false)])
  }

  /**
   * Adds an event of the log to a batch.
   * @returns `false` if the event does not fit
   */
  append(batch: BatchWriter, event: ScannedEvent, wire: Wire): boolean {
    const { sequence, time } = event
    const id = this.cursor(sequence)
    return batch.write(headOf(event, wire, sequence, time, id, true), dataOf(event, wire), tailOf(wire))
  }

  /** Prints the cursor of a sequence. */
  cursor(sequence: number): string {
    return printCursor(this.#epoch, sequence)
  }

  /**
   * Returns the id from which a subscriber may resume at the start of a stream. If a gap follows, this is the
   * subscriber's own id: a subscriber that is cut off before the gap must get the gap again. `undefined` if that id is
   * not a cursor.
   */
  resumeId({ gap, sequence }: { gap: { after: string } | undefined; sequence: number }): string | undefined {
    if (!gap) return this.cursor(sequence)
    return parseCursor(gap.after) && gap.after
  }

  /**
   * Encodes the first block of a stream.
   * @param id from `resumeId`; `undefined`: no `id:` line
   * @param retry in milliseconds
   */
  open(id: string | undefined, connection: string, topics: readonly string[], retry: number): Chunk {
    return Chunk.of(
      `retry: ${retry}\n${idLine(id)}event: fanfare.open\ndata: ${JSON.stringify({ connection, topics })}\n\n`,
    )
  }

  /**
   * Encodes a gap.
   * @param after the cursor from which the subscriber resumed, as the subscriber sent it
   * @param oldest the sequence of the oldest retained event; `undefined` if there is none
   * @param sequence the sequence before the events that follow, if the opening block had no such id; `undefined`: no
   *   `id:` line
   */
  gap(reason: GapReason, after: string, oldest: number | undefined, sequence?: number): Chunk {
    const data = JSON.stringify({ reason, after, oldest: oldest === undefined ? null : this.cursor(oldest) })
    return Chunk.of(
      `${idLine(sequence === undefined ? undefined : this.cursor(sequence))}event: fanfare.gap\ndata: ${data}\n\n`,
    )
  }

  /** Encodes the end of catch-up: later events are live. */
  live(sequence: number): Chunk {
    return Chunk.of(`id: ${this.cursor(sequence)}\nevent: fanfare.live\ndata: {}\n\n`)
  }

  /**
   * Encodes a heartbeat. It keeps the connection open and moves the cursor of a quiet stream forward. It is a named
   * event with data, since many clients ignore an `id:` without data, and some turn a comment into an empty message.
   */
  heartbeat(sequence: number): Chunk {
    return Chunk.of(`id: ${this.cursor(sequence)}\nevent: fanfare.heartbeat\ndata: {}\n\n`)
  }
}

/**
 * Encodes the last block of a stream that the hub ends. `retry` is in milliseconds. For `busy` the data repeats it, for
 * clients that ignore the `retry:` line.
 */
export function closeBlock(reason: CloseReason, retry: number): Chunk {
  const data = reason === 'busy' ? { reason, retry } : { reason }
  return Chunk.of(`retry: ${retry}\nevent: fanfare.close\ndata: ${JSON.stringify(data)}\n\n`)
}

const RETRY = { min: 2_000, max: 4_000 }
const RETRY_BUSY = { min: 5_000, max: 15_000 }

/** Draws a random delay before a reconnect, in milliseconds, so that subscribers do not reconnect all at once. */
export function drawRetry(busy = false): number {
  const { min, max } = busy ? RETRY_BUSY : RETRY
  return min + Math.floor(Math.random() * (max - min + 1))
}

function idLine(id: string | undefined): string {
  return id === undefined ? '' : `id: ${id}\n`
}

/** Returns the text before an event's data. */
function headOf(
  event: Omit<NewEvent, 'payload'>,
  wire: Wire,
  sequence: number | undefined,
  time: number,
  id: string,
  withId: boolean,
): string {
  let block = withId ? `id: ${id}\n` : ''
  if (event.type !== undefined && wire.format !== 'json') block += `event: ${event.type}\n`
  if (wire.topicLine) block += `topic: ${event.topic}\n`
  switch (wire.format) {
    case 'raw':
      return `${block}data: `
    case 'json':
      return `${block}data: ${printHead(event, time, sequence === undefined ? null : id)}`
    case 'cloudevents':
      return `${block}data: ${cloudAttributes(event, time, id)},${event.kind === 'bytes' ? '"data_base64":' : '"data":'}`
  }
}

/** Returns an event's data. JSON and base64 need no escaping, since they have neither CR nor LF. */
function dataOf(event: Pick<ScannedEvent, 'kind' | 'payload'>, { format }: Wire): string | Buffer {
  const { kind } = event
  if (kind === 'json') return event.payload
  const payload = payloadOf(event)
  if (format !== 'raw') return printPayload(kind, payload)
  return kind === 'text' ? splitLines(payload) : payload
}

/** Returns the text after an event's data. */
function tailOf({ format }: Wire): string {
  return format === 'raw' ? '\n\n' : '}\n\n'
}

/** Starts a new `data:` line after each CR, LF and CRLF, since each ends a line of an event stream. */
function splitLines(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/\r\n|\r|\n/g, '\ndata: ') : text
}

/** The content types of CloudEvents whose publishers have named none, by kind. */
const CONTENT_TYPES: Record<PayloadKind, string> = {
  json: 'application/json',
  text: 'text/plain',
  bytes: 'application/octet-stream',
}

/**
 * Returns the attributes of a CloudEvents 1.0 event in JSON (CloudEvents JSON Event Format 1.0.2, 3.1), as one line,
 * without the data and the closing brace. Extension attributes are members of the same object (2).
 */
function cloudAttributes(
  { topic, type, attributes: stored, kind }: Omit<NewEvent, 'payload'>,
  time: number,
  id: string,
): string {
  const attributes = visibleAttributes(stored)
  const core = JSON.stringify({
    specversion: '1.0',
    id,
    source: `/topics/${topic}`,
    type: type ?? 'message', // CloudEvents requires a type; EventSource uses this one for events without a type
    time: new Date(time).toISOString(),
    subject: topic,
    datacontenttype: attributes !== undefined && hasContentType(attributes) ? undefined : CONTENT_TYPES[kind],
  })
  return attributes === undefined ? core.slice(0, -1) : `${core.slice(0, -1)},${attributes.slice(1, -1)}`
}
