/**
 * The Server-Sent Events wire format: every block that a stream of the hub is made of.
 * Source: WHATWG HTML, "Server-sent events", 9.2.5 (parsing) and 9.2.6 (interpreting an event stream).
 */
import { Chunk } from './chunk.js'
import type { BatchWriter } from './batch-writer.js'
import { parseCursor, printCursor } from '../model/cursor.js'
import { hasContentType } from '../model/attributes.js'
import type { NewEvent, StoredEvent, ScannedEvent } from '../model/event.js'
import { printHead, printPayload } from '../model/history-event.js'
import { payloadOf, type PayloadKind } from '../model/payload.js'

/**
 * What the `data:` of an event is. `raw`: its payload; its attributes are not sent. `json`: the event as in a page of
 * history, without an `event:` line. `cloudevents`: a CloudEvent, its attributes as extension attributes.
 */
export type Format = 'raw' | 'json' | 'cloudevents'

/** How events look on a stream. `topicLine`: each names its topic in an extra field, which EventSource ignores. */
export interface Wire {
  format: Format
  topicLine: boolean
}

/** Why a subscriber did not get events that it asked for. */
export type GapReason = 'expired' | 'epoch' | 'future' | 'invalid' | 'skipped'

/** Why the hub ended a stream. */
export type CloseReason = 'expired' | 'revoked' | 'drain' | 'slow' | 'lifetime' | 'replaced' | 'busy'

/** The blocks of one hub: those that carry cursors need its log's epoch. */
export class Encoder {
  readonly #epoch: string

  constructor(epoch: string) {
    this.#epoch = epoch
  }

  /**
   * One event.
   * @param sequence its place in the log; `undefined` for an ephemeral event, which has no `id:` line
   * @param time when it was published, in milliseconds since the epoch of Unix
   * @param id what a CloudEvent has as its id: the cursor, or something unique for an ephemeral event
   * @param withId whether there is an `id:` line
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
   * Events of the log, one after the other.
   * @param withIds `false`: without `id:` lines, since the reader's cursor is beyond them
   */
  events(events: readonly StoredEvent[], wire: Wire, withIds = true): Chunk {
    return Chunk.join(
      events.map((event) => this.event(event, wire, event.sequence, event.time, this.cursor(event.sequence), withIds)),
    )
  }

  /**
   * Adds an event of the log to a batch.
   * @returns `false`: there is no room for it
   */
  append(batch: BatchWriter, event: ScannedEvent, wire: Wire): boolean {
    const { sequence, time } = event
    const id = this.cursor(sequence)
    return batch.write(headOf(event, wire, sequence, time, id, true), dataOf(event, wire), tailOf(wire))
  }

  /** The cursor of a place in the log. */
  cursor(sequence: number): string {
    return printCursor(this.#epoch, sequence)
  }

  /**
   * The id from which a client may resume a stream. Before a gap that is still to be told it is the client's own: with
   * an id behind the gap, a client that is cut off would never hear of it. `undefined`: the client's own is no cursor.
   */
  resumeId({ gap, sequence }: { gap: { after: string } | undefined; sequence: number }): string | undefined {
    if (!gap) return this.cursor(sequence)
    return parseCursor(gap.after) && gap.after
  }

  /**
   * The first block of a stream.
   * @param id of `resumeId`; `undefined`: no `id:` line
   * @param retry in milliseconds
   */
  open(id: string | undefined, connection: string, topics: readonly string[], retry: number): Chunk {
    return Chunk.of(
      `retry: ${retry}\n${idLine(id)}event: fanfare.open\ndata: ${JSON.stringify({ connection, topics })}\n\n`,
    )
  }

  /**
   * Tells that events are missing.
   * @param after the cursor that the subscriber asked to go on from, as it was given
   * @param oldest the sequence of the oldest event that is still there, or `undefined` when nothing is
   * @param sequence the position before what follows, where the opening block had none; `undefined`: no `id:` line
   */
  gap(reason: GapReason, after: string, oldest: number | undefined, sequence?: number): Chunk {
    const data = JSON.stringify({ reason, after, oldest: oldest === undefined ? null : this.cursor(oldest) })
    return Chunk.of(
      `${idLine(sequence === undefined ? undefined : this.cursor(sequence))}event: fanfare.gap\ndata: ${data}\n\n`,
    )
  }

  /** Tells that replay or resume is over. */
  live(sequence: number): Chunk {
    return Chunk.of(`id: ${this.cursor(sequence)}\nevent: fanfare.live\ndata: {}\n\n`)
  }

  /**
   * Keeps the connection open, and moves the cursor of a quiet stream forward. The heartbeat is a named event with
   * data: many clients ignore an `id:` without data, and some make an empty message of a comment.
   */
  heartbeat(sequence: number): Chunk {
    return Chunk.of(`id: ${this.cursor(sequence)}\nevent: fanfare.heartbeat\ndata: {}\n\n`)
  }
}

/**
 * The last block of a stream that the hub ends. `retry` is in milliseconds. A client that knows nothing of the `retry:`
 * line finds it in the data where it matters most: when the hub is busy.
 */
export function closeBlock(reason: CloseReason, retry: number): Chunk {
  const data = reason === 'busy' ? { reason, retry } : { reason }
  return Chunk.of(`retry: ${retry}\nevent: fanfare.close\ndata: ${JSON.stringify(data)}\n\n`)
}

const RETRY = { min: 2_000, max: 4_000 }
const RETRY_BUSY = { min: 5_000, max: 15_000 }

/** Draws the time after which a client comes back, in milliseconds, so that not all of them do at once. */
export function drawRetry(busy = false): number {
  const { min, max } = busy ? RETRY_BUSY : RETRY
  return min + Math.floor(Math.random() * (max - min + 1))
}

function idLine(id: string | undefined): string {
  return id === undefined ? '' : `id: ${id}\n`
}

/** What comes before an event's data. */
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

/** An event's data: payloads that are JSON or base64 as they are, since they have neither CR nor LF. */
function dataOf(event: Pick<ScannedEvent, 'kind' | 'payload'>, { format }: Wire): string | Buffer {
  const { kind } = event
  if (kind === 'json') return event.payload
  const payload = payloadOf(event)
  if (format !== 'raw') return printPayload(kind, payload)
  return kind === 'text' ? splitLines(payload) : payload
}

/** What comes behind an event's data. */
function tailOf({ format }: Wire): string {
  return format === 'raw' ? '\n\n' : '}\n\n'
}

/** CR, LF and CRLF each end a line of an event stream, so each starts a new `data:` line. */
function splitLines(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replace(/\r\n|\r|\n/g, '\ndata: ') : text
}

/** What a CloudEvent's data are unless its publisher has named their content type. */
const CONTENT_TYPES: Record<PayloadKind, string> = {
  json: 'application/json',
  text: 'text/plain',
  bytes: 'application/octet-stream',
}

/**
 * A CloudEvents 1.0 event in the JSON format (CloudEvents JSON Event Format 1.0.2, 3.1), as one line, without its data
 * and its end. Its extension attributes are members of the same object (2).
 */
function cloudAttributes(
  { topic, type, attributes, kind }: Omit<NewEvent, 'payload'>,
  time: number,
  id: string,
): string {
  const core = JSON.stringify({
    specversion: '1.0',
    id,
    source: `/topics/${topic}`,
    type: type ?? 'message', // required by CloudEvents; what EventSource calls an event without a type
    time: new Date(time).toISOString(),
    subject: topic,
    datacontenttype: attributes !== undefined && hasContentType(attributes) ? undefined : CONTENT_TYPES[kind],
  })
  return attributes === undefined ? core.slice(0, -1) : `${core.slice(0, -1)},${attributes.slice(1, -1)}`
}
