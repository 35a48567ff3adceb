/** `fanfare subscribe`: prints the events of topics as they come, and resumes after every interruption. */
import { requirePattern } from './patterns.js'
import { UsageError, type Process } from './command.js'
import { follow, type StreamItem } from './follow.js'
import { HubClient } from './http-client.js'
import { hubAddress, printAddress, type HubOptions } from './hub-address.js'
import { painter, print, printable } from './terminal.js'

export interface SubscribeOptions extends HubOptions {
  from?: string | undefined
  replay?: string | undefined
  type?: string[] | undefined
  presence?: boolean | undefined
  slow?: string | undefined
  json?: boolean | undefined
  raw?: boolean | undefined
  count?: number | undefined
  quiet?: boolean | undefined
}

/** An event of a stream with `format=json`. */
interface StreamEvent {
  id: string | null
  topic: string
  type?: string
  time: string
  data?: unknown
  text?: string
  bytes?: string
}

/**
 * Prints events on standard output; gaps and states on standard error. Ends with SIGINT, after `--count` events, when
 * the topic ends, or when its output is closed.
 * @throws UsageError, RefusalError; UnreachableError if the first connection fails
 */
export async function subscribe(patterns: string[], options: SubscribeOptions, process: Process): Promise<void> {
  const path = streamPath(patterns, options)
  const client = new HubClient(await hubAddress(options, process))
  const signal = process.interrupted()
  const states = new StatePrinter(process.stderr, printAddress(client.address), options.quiet ?? false)
  const format = formatter(options, process.stdout)
  let count = 0
  for await (const item of follow(client, path, signal)) {
    if (item.kind !== 'event') {
      states.print(item)
      continue
    }
    await print(process.stdout, `${format(item)}\n`)
    if (++count === options.count) return
  }
}

const CURSOR = /^[a-z0-9]{8}-\d+$/
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/** Returns the path of the stream. `--from` is `start`, a time (RFC 3339), or a cursor. */
function streamPath(patterns: string[], { from, replay, type = [], presence, slow }: SubscribeOptions): string {
  if (from !== undefined && replay !== undefined) throw new UsageError('Use either --from or --replay, not both.')
  const query = new URLSearchParams()
  for (const pattern of patterns) {
    requirePattern(pattern)
    query.append('topic', pattern)
  }
  if (from === 'start') query.set('from', 'start')
  else if (from !== undefined && RFC_3339.test(from)) query.set('from', from)
  else if (from !== undefined && CURSOR.test(from)) query.set('lastEventId', from)
  else if (from !== undefined)
    throw new UsageError(
      `--from is "start", a time such as 2026-11-20T19:09:18Z, or a cursor such as 8f3kq0zt-1042, and not ${JSON.stringify(from)}.`,
    )
  if (replay !== undefined) query.set('replay', replay)
  for (const name of type) query.append('type', name)
  if (presence) query.set('presence', 'true')
  if (slow !== undefined) query.set('slow', slow)
  query.set('format', 'json')
  return `/events?${query.toString()}`
}

type EventItem = Extract<StreamItem, { kind: 'event' }>

/** Returns the function that prints an event: one line of text, or of JSON. */
function formatter({ json, raw }: SubscribeOptions, stdout: Process['stdout']): (item: EventItem) => string {
  if (json) return ({ data }) => printable(data)
  if (raw) return (item) => payloadOf(parse(item))
  const paint = painter(stdout)
  return (item) => {
    const event = parse(item)
    const payload = event.data === undefined ? payloadOf(event) : JSON.stringify(event.data)
    return [
      paint('dim', event.time.slice(11, 23)),
      paint('cyan', event.topic),
      ...(event.type === undefined ? [] : [paint('yellow', printable(event.type))]),
      printable(payload),
    ].join('  ')
  }
}

/** Returns an event, or a join or leave as an event of its topic. */
function parse({ type, data }: EventItem): StreamEvent {
  const content = JSON.parse(data) as StreamEvent
  if (type === undefined) return content
  return { id: null, topic: content.topic, type, time: new Date().toISOString(), data: content }
}

function payloadOf({ data, text, bytes }: StreamEvent): string {
  return text ?? bytes ?? JSON.stringify(data)
}

const GAPS: Record<string, string> = {
  expired: 'some events are no longer kept',
  epoch: 'the hub has a new log, and the events of the old one are gone',
  future: 'the log ends before this cursor: it has lost events, or is another one',
  invalid: 'this is not a cursor of the hub',
  skipped: 'older events were skipped after a stall',
}

/** Prints what happens to the stream, one line each. */
class StatePrinter {
  readonly #stderr: Process['stderr']
  readonly #address: string
  readonly #isQuiet: boolean
  readonly #paint: ReturnType<typeof painter>

  constructor(stderr: Process['stderr'], address: string, isQuiet: boolean) {
    this.#stderr = stderr
    this.#address = address
    this.#isQuiet = isQuiet
    this.#paint = painter(stderr)
  }

  /** Prints a state. A gap is printed even if states are not. */
  print(item: Exclude<StreamItem, EventItem>): void {
    if (item.kind === 'gap') {
      const { reason, after, oldest } = item
      const since = after === null ? '' : ` after ${after}`
      const rest = oldest === null ? '' : `; the events from ${oldest} on follow`
      this.#stderr.write(
        `${this.#paint('red', printable(`Gap${since}: ${GAPS[reason] ?? reason} (${reason})${rest}.`))}\n`,
      )
    } else if (!this.#isQuiet) this.#stderr.write(`${this.#paint('dim', printable(this.#sentence(item)))}\n`)
  }

  #sentence(item: Exclude<StreamItem, { kind: 'event' | 'gap' }>): string {
    switch (item.kind) {
      case 'connecting':
        return `Connecting to ${this.#address}.`
      case 'open':
        return `Connected: ${item.topics.join(', ')} (connection ${item.connection}).`
      case 'live':
        return 'Live: the next events are new.'
      case 'waiting':
        return `${item.reason} Connecting again in ${(item.wait / 1_000).toFixed(1)} s.`
      case 'end':
        return item.reason
    }
  }
}
