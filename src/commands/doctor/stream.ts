/**
 * Examines a stream: whether its head and first block, a published event and a heartbeat arrive while it is open, or a
 * proxy keeps them back.
 */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { covers, isExact } from '../../model/topic.js'
import { reasonOf } from '../http-client.js'
import type { HubAddress } from '../hub-address.js'
import { printable } from '../terminal.js'
import { ask, memberOf, open, TIMEOUT } from './probe.js'
import { printTime, type Report } from './finding.js'
import type { KnownToken } from './token.js'

const REMEDY =
  'a proxy keeps the stream back. Turn off its buffering and compression for text/event-stream (nginx: proxy_buffering off; gzip off), and do not let it ignore the header X-Accel-Buffering.'

export interface StreamExamination {
  address: HubAddress
  token: KnownToken
  /** The topic or pattern to subscribe to. `undefined`: one that the token grants. */
  topic: string | undefined
  /** How long to wait for a heartbeat, in milliseconds. */
  wait: number
}

/** Opens a stream, publishes an ephemeral event to it if that is allowed, and waits for a heartbeat. */
export async function examineStream(examination: StreamExamination, report: Report): Promise<void> {
  const { address, token } = examination
  const topic = examination.topic ?? topicFor(token)
  const openedAt = performance.now()
  let response: IncomingMessage
  try {
    response = await open(address, `/topics/${encodeURIComponent(topic)}/events`, {
      headers: {
        accept: 'text/event-stream',
        'accept-encoding': 'gzip, deflate, br', // as a browser does
        ...(address.token === undefined ? {} : { authorization: `Bearer ${address.token}` }),
      },
    })
  } catch (err) {
    report('fault', `A stream of ${topic} does not begin (${reasonOf(err)}), though /status is answered: ${REMEDY}`)
    return
  }
  const stream = new ExaminedStream(response)
  try {
    if (await isStream(response, topic, report)) await examineFlow(examination, topic, stream, openedAt, report)
  } finally {
    response.destroy()
  }
}

/** Returns a topic of its own if the token grants every topic, otherwise the first pattern of the token. */
function topicFor({ subscribe }: KnownToken): string {
  const own = `doctor.${randomBytes(4).toString('hex')}`
  return (subscribe ?? [own]).some((grant) => covers(grant, own)) ? own : (subscribe?.[0] ?? own)
}

async function isStream(response: IncomingMessage, topic: string, report: Report): Promise<boolean> {
  const { statusCode = 0, headers } = response
  const type = headers['content-type'] ?? 'no content type'
  if (statusCode === 200 && type.startsWith('text/event-stream')) {
    const coding = headers['content-encoding']
    if (coding !== undefined)
      report(
        'fault',
        `A proxy compresses the stream (${coding}), which delays events and costs memory for each stream: turn compression off for text/event-stream.`,
      )
    if (headers['fanfare-connection'] === undefined)
      report('note', 'A proxy removes the header Fanfare-Connection: clients cannot change or end their streams.')
    return coding === undefined
  }
  let text = ''
  for await (const part of response.setEncoding('utf8')) if ((text += part as string).length > 4_096) break
  const detail = /\bjson\b/.test(type) && text.startsWith('{') ? memberOf(JSON.parse(text), 'detail') : undefined
  if (statusCode === 401 || statusCode === 403)
    report(
      'note',
      `A stream of ${topic} is refused (${statusCode})${typeof detail === 'string' ? `: ${printable(detail)}` : ''} Name one that the token grants with --topic.`,
    )
  else
    report(
      'fault',
      `A stream of ${topic} is answered ${statusCode} and ${type}${typeof detail === 'string' ? `: ${printable(detail)}` : ''}.`,
    )
  return false
}

async function examineFlow(
  { address, token, wait }: StreamExamination,
  topic: string,
  stream: ExaminedStream,
  openedAt: number,
  report: Report,
): Promise<void> {
  if (!(await stream.has('fanfare.open', TIMEOUT))) {
    if (!reportEnd(stream, openedAt, report))
      report('fault', `The first block of a stream does not arrive within ${TIMEOUT / 1_000} s: ${REMEDY}`)
    return
  }
  report('ok', `A stream of ${topic} begins ${printTime(performance.now() - openedAt)} after its request.`)
  if (token.publish?.some((grant) => covers(grant, topic)) && isExact(topic))
    await examineEvent(address, topic, stream, report)
  if (wait === 0) return
  const waitingAt = performance.now()
  if (await stream.has('fanfare.heartbeat', wait))
    report(
      'ok',
      `A heartbeat arrives ${printTime(performance.now() - waitingAt)} later: time-outs of proxies are long enough.`,
    )
  else if (!reportEnd(stream, openedAt, report))
    report(
      'note',
      `No heartbeat arrived within ${printTime(wait)}: FANFARE_HEARTBEAT is longer, or a proxy keeps it back. Proxies and clients with shorter time-outs will cut quiet streams.`,
    )
}

/** Publishes an event that is not stored, and waits for it on the stream. */
async function examineEvent(address: HubAddress, topic: string, stream: ExaminedStream, report: Report): Promise<void> {
  const type = 'fanfare-doctor'
  const publishedAt = performance.now()
  const { status, body } = await ask(address, `/topics/${encodeURIComponent(topic)}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${address.token ?? ''}` },
    body: JSON.stringify({ data: null, type, ephemeral: true }),
  })
  const detail = memberOf(body, 'detail')
  if (status !== 202) {
    report(
      'fault',
      `Publishing an event is answered ${status}: ${typeof detail === 'string' ? printable(detail) : 'not as a hub does.'}`,
    )
    return
  }
  if (await stream.has(type, TIMEOUT))
    report('ok', `A published event arrives after ${printTime(performance.now() - publishedAt)}.`)
  else report('fault', `A published event does not arrive within ${TIMEOUT / 1_000} s: ${REMEDY}`)
}

/** Reports the end of a stream. Returns whether it has ended. */
function reportEnd({ end, closeReason }: ExaminedStream, openedAt: number, report: Report): boolean {
  if (end === undefined) return false
  const after = printTime(end - openedAt)
  if (closeReason === undefined)
    report(
      'fault',
      `The stream is cut after ${after}, before a heartbeat: raise the time-out of the proxy above FANFARE_HEARTBEAT (nginx: proxy_read_timeout), or lower FANFARE_HEARTBEAT.`,
    )
  else report('fault', `The hub ends the stream after ${after} (${closeReason}).`)
  return true
}

/** The blocks of a stream. */
class ExaminedStream {
  /** The time of its end, on the clock of `performance.now()`. */
  end: number | undefined
  /** Why the hub says that it ends the stream. */
  closeReason: string | undefined
  readonly #types = new Set<string | undefined>()
  #changed: () => void = () => undefined

  constructor(response: IncomingMessage) {
    const parser = createParser({ onEvent: (block) => this.#take(block) })
    response.setEncoding('utf8').on('data', (text: string) => parser.feed(text))
    response.once('error', () => undefined) // `close` follows
    response.once('close', () => {
      this.end = performance.now()
      this.#changed()
    })
  }

  /** Waits for a block of a type. Resolves with `false` when the time has passed, or the stream has ended. */
  async has(type: string, time: number): Promise<boolean> {
    const late = { isOver: false }
    const timer = setTimeout(() => {
      late.isOver = true
      this.#changed()
    }, time)
    while (!this.#types.has(type) && this.end === undefined && !late.isOver)
      await new Promise<void>((resolve) => (this.#changed = resolve))
    clearTimeout(timer)
    return this.#types.has(type)
  }

  #take({ event, data }: EventSourceMessage): void {
    this.#types.add(event)
    if (event === 'fanfare.close') this.closeReason = String(memberOf(JSON.parse(data), 'reason'))
    this.#changed()
  }
}
