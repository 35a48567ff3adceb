/** Events as newline-delimited JSON: read as they come, stored in batches, no faster than the log takes them. */
import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { Compile } from 'typebox/compile'
import { authorize, type Principal } from '../auth/principal.js'
import { Problem } from '../errors.js'
import { describeErrors, summarize } from '../validation.js'
import type { CheckedEvent } from '../hub/event.js'
import { HubError } from '../hub/hub-error.js'
import type { Hub } from '../hub/hub.js'
import { BatchEvent, type StreamReceipt } from '../schemas/event.js'

const eventShape = Compile(BatchEvent)

/** What a line may have beside its payload: topic, type, id and JSON's own characters, escapes included. */
const LINE_OVERHEAD = 4 * 1024
const NEWLINE = 0x0a
/** How much is read, in bytes, of what follows a line that was refused. */
const DROPPED_AT_MOST = 512 * 1024

/**
 * Publishes one event a line. What is stored stays stored when a later line is refused.
 * @param maxEventSize the most bytes that the payload of an event may have
 * @throws Problem with the members `line` (from 1) and `accepted`
 */
export async function publishLines(hub: Hub, principal: Principal, body: Readable, maxEventSize: number): Promise<StreamReceipt> {
  const receipt: StreamReceipt = { accepted: 0, duplicates: 0, lastId: null }
  const granted = new Set<string>()
  let line = 0

  function check(bytes: Buffer): CheckedEvent {
    if (bytes.length > maxEventSize + LINE_OVERHEAD) throw new Problem('event-too-large', `The line is longer than an event of ${maxEventSize} bytes can be.`)
    if (!isUtf8(bytes)) throw new Problem('invalid-encoding', 'The line is not UTF-8.')
    const input = parseLine(bytes.toString())
    const event = hub.check(input.topic, input)
    if (!granted.has(event.topic)) {
      authorize(principal, 'publish', [event.topic])
      granted.add(event.topic)
    }
    return event
  }

  async function store(lines: Buffer[]): Promise<void> {
    const events: CheckedEvent[] = []
    let refusal: Error | undefined
    for (const bytes of lines) {
      line++
      if (isBlank(bytes)) continue
      try {
        events.push(check(bytes))
      } catch (err) {
        refusal = err as Error
        break
      }
    }
    for (const { id, duplicate } of await hub.publishChecked(events)) {
      receipt.accepted++
      if (duplicate) receipt.duplicates++
      receipt.lastId = id ?? receipt.lastId
    }
    if (refusal) throw refusal
  }

  try {
    for await (const lines of readLines(body, maxEventSize + LINE_OVERHEAD)) await store(lines)
  } catch (err) {
    dropRest(body)
    throw locate(err, line, receipt.accepted)
  }
  return receipt
}

/** Reads and drops what is left of a body, so that the answer arrives and the connection can be used again; but not for ever. */
function dropRest(body: Readable): void {
  let left = DROPPED_AT_MOST
  body.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) body.destroy()
  })
}

/** Splits a body into lines, as many at a time as have come. A line that is too long is given as far as it has come. */
async function* readLines(body: Readable, maxLength: number): AsyncGenerator<Buffer[]> {
  let rest: Buffer[] = []
  let length = 0
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const last = chunk.lastIndexOf(NEWLINE)
    if (last === -1) {
      rest.push(chunk)
      length += chunk.length
      if (length > maxLength) yield [Buffer.concat(rest)]
      continue
    }
    yield split(Buffer.concat([...rest, chunk.subarray(0, last)]))
    rest = [chunk.subarray(last + 1)]
    length = chunk.length - last - 1
  }
  if (length > 0) yield [Buffer.concat(rest)]
}

function split(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    lines.push(bytes.subarray(start, end))
    start = end + 1
  }
  lines.push(bytes.subarray(start))
  return lines
}

function isBlank(bytes: Buffer): boolean {
  return bytes.length === 0 || (bytes.length < 80 && bytes.toString('latin1').trim() === '')
}

function parseLine(text: string): BatchEvent {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (err) {
    throw new Problem('invalid-json', `The line is not JSON: ${err instanceof Error ? err.message : String(err)}`)
  }
  if (eventShape.Check(value)) return value
  const errors = describeErrors(eventShape.Errors(value))
  throw new Problem('invalid-line', `The line is no event: ${summarize(errors)}`, { errors })
}

/** Says which line was refused, and how many events are stored. */
function locate(err: unknown, line: number, accepted: number): unknown {
  if (err instanceof Problem) return new Problem(err.code, `Line ${line}: ${err.message}`, { ...err.extensions, line, accepted })
  if (err instanceof HubError) return new Problem(err.code === 'hub-closed' ? 'draining' : err.code, `Line ${line}: ${err.message}`, { line, accepted }, { cause: err })
  return err
}
