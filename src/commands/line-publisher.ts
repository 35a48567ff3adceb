/**
 * Publishes each line of standard input. Lines that have arrived while a batch is on its way are the next batch: a line
 * of a live pipe leaves at once, and a file leaves in large batches. One batch is on its way at a time, so the order is
 * kept and the input is read no faster than the hub stores it.
 */
import { randomBytes } from 'node:crypto'
import { BATCH_MAX } from '../model/event.js'
import type { BatchEvent, BatchReceipt } from '../schemas/event.js'
import { CommandError, type Process } from './command.js'
import { RefusalError, type HubClient } from './http-client.js'
import { LineReader, type Line } from './line-reader.js'
import { payloadOf, type Payload, type PayloadKind } from './payload.js'
import { untilAccepted, type RetryOptions } from './retry.js'
import { print } from './terminal.js'

/** The maximum size of the lines of a batch, in bytes. A longer line is a batch by itself. */
const BATCH_BYTES = 1024 * 1024

export interface LinesOptions {
  /** The topic of every line, which is then a payload. `undefined`: each line is an event that names its topic. */
  topic: string | undefined
  kind: PayloadKind
  /** Further members of every event. */
  members: Partial<BatchEvent>
  /** Whether to print the receipt of each event. */
  json: boolean
}

/**
 * Publishes until the input ends, or a signal interrupts it. Each event gets an id unless its line has one, so that a
 * batch whose answer was lost is sent again and stored once.
 * @throws CommandError that names the first line that is not published; the events of all earlier lines are stored
 */
export async function publishLines(client: HubClient, options: LinesOptions, process: Process): Promise<void> {
  const signal = process.interrupted()
  const run = randomBytes(9).toString('base64url')
  const reader = new LineReader(process.stdin, signal)
  let published = 0
  for (;;) {
    const lines = await reader.take(BATCH_MAX, BATCH_BYTES)
    if (lines.length === 0) break
    const { events, failure } = eventsOf(lines, options, run)
    if (events.length > 0) {
      const { receipts, refusal } = await send(client, events, { isConnected: published > 0, signal, process })
      published += receipts.length
      if (options.json) for (const receipt of receipts) await print(process.stdout, `${JSON.stringify(receipt)}\n`)
      if (refusal) throw atLine(lines[receipts.length]?.number ?? 0, refusal, published)
    }
    if (failure) throw atLine(failure.line, failure.error, published)
  }
  if (!options.json) await print(process.stdout, `${published} ${published === 1 ? 'event' : 'events'} published\n`)
}

/** Returns the events of lines, up to the first line that is not an event. */
function eventsOf(
  lines: readonly Line[],
  { topic, kind, members }: LinesOptions,
  run: string,
): { events: BatchEvent[]; failure?: { line: number; error: CommandError } } {
  const events: BatchEvent[] = []
  for (const { number, text } of lines) {
    try {
      const event = topic === undefined ? eventIn(text) : { topic, ...payloadIn(text, kind) }
      const id = members.ephemeral || event.ephemeral ? {} : { id: `${run}-${number}` }
      events.push({ ...id, ...members, ...event })
    } catch (err) {
      if (!(err instanceof CommandError)) throw err
      return { events, failure: { line: number, error: err } }
    }
  }
  return { events }
}

function eventIn(text: Buffer): BatchEvent {
  const { data } = payloadOf(text, 'json') as { data: unknown }
  if (typeof data === 'object' && data !== null && 'topic' in data) return data as BatchEvent
  throw new CommandError('The line is not an event with a "topic": name the topic of all lines before --ndjson.')
}

/** A line is JSON unless `--text` or `--bytes` says what it is. */
function payloadIn(text: Buffer, kind: PayloadKind): Payload {
  return payloadOf(text, kind === 'auto' ? 'json' : kind)
}

interface Sent {
  receipts: BatchReceipt['events']
  refusal?: RefusalError
}

/**
 * Sends a batch. If one event is refused, sends the events before it. If the hub takes only smaller batches
 * (`FANFARE_MAX_EVENT_SIZE`), sends it in two halves.
 */
async function send(client: HubClient, events: BatchEvent[], retry: Omit<RetryOptions, 'time'>): Promise<Sent> {
  try {
    const { events: receipts } = await untilAccepted(
      () => client.json<BatchReceipt>('/events', { method: 'POST', body: { events } }),
      { ...retry, time: Infinity },
    )
    return { receipts }
  } catch (err) {
    if (!(err instanceof RefusalError)) throw err
    if (err.code === 'body-too-large' && events.length > 1) return sendHalves(client, events, retry)
    if (err.index === undefined && events.length > 1) throw err
    if (!err.index) return { receipts: [], refusal: err }
    const before = await send(client, events.slice(0, err.index), retry)
    return { receipts: before.receipts, refusal: before.refusal ?? err }
  }
}

async function sendHalves(client: HubClient, events: BatchEvent[], retry: Omit<RetryOptions, 'time'>): Promise<Sent> {
  const middle = Math.ceil(events.length / 2)
  const first = await send(client, events.slice(0, middle), retry)
  if (first.refusal) return first
  const second = await send(client, events.slice(middle), retry)
  return { ...second, receipts: [...first.receipts, ...second.receipts] }
}

function atLine(line: number, error: CommandError, published: number): CommandError {
  return new CommandError(
    `Line ${line}: ${error.message} (${published} ${published === 1 ? 'event was' : 'events were'} published before it.)`,
    error.exitCode,
    { cause: error },
  )
}
