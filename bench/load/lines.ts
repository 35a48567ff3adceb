/** Publishes NDJSON over one connection, as fast as the hub reads it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createToken } from '../token.js'
import { now } from './clock.js'
import { blankPayload } from './mark.js'
import { Responses } from './responses.js'
import { topicName } from './topic.js'

export interface LinesPlan {
  port: number
  events: number
  /** The number of topics, which the events use in turn. */
  topics: number
  /** The size of an event's data, in bytes. */
  payload: number
}

export interface LinesPublished {
  /** From the first byte to the answer. */
  seconds: number
  /** The number of stored events, as the hub reports it. */
  accepted: number
}

/** The number of lines in a chunk of the body. */
const LINES_A_CHUNK = 500

/** @throws Error if the hub refuses a line */
export async function publishLines({ port, events, topics, payload }: LinesPlan): Promise<LinesPublished> {
  const lines = Array.from(
    { length: LINES_A_CHUNK },
    (_, index) => `${JSON.stringify({ topic: topicName(index % topics), data: blankPayload(payload) })}\n`,
  )
  const whole = chunkOf(lines)
  const responses = new Responses()
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let answer = Buffer.alloc(0)
  const answered = new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the connection was closed before the answer')))
    socket.on('data', (bytes) => {
      answer = Buffer.concat([answer, bytes])
      if (responses.read(bytes, bytes.length) > 0) resolve()
    })
  })
  await once(socket, 'connect')

  const startedAt = now()
  socket.write(headOf())
  for (let left = events; left > 0 && responses.count === 0; left -= LINES_A_CHUNK) {
    const chunk = left >= LINES_A_CHUNK ? whole : chunkOf(lines.slice(0, left))
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), answered])
  }
  socket.write('0\r\n\r\n')
  await answered
  const seconds = (now() - startedAt) / 1e6
  socket.removeAllListeners('close').destroy()

  if (responses.failure !== undefined) throw new Error(`a line was refused: ${responses.failure}`)
  const { accepted } = JSON.parse(answer.subarray(answer.indexOf('\r\n\r\n') + 4).toString()) as { accepted: number }
  return { seconds, accepted }
}

function headOf(): string {
  return [
    'POST /events HTTP/1.1',
    'host: localhost',
    `authorization: Bearer ${createToken('publisher')}`,
    'content-type: application/x-ndjson',
    'transfer-encoding: chunked',
    '\r\n',
  ].join('\r\n')
}

/** Returns lines as one chunk of a body (RFC 9112, 7.1). */
function chunkOf(lines: string[]): Buffer {
  const body = Buffer.from(lines.join(''))
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')])
}
