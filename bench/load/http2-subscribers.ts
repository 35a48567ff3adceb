/** Subscribers without events over HTTP/2: as in browsers, the streams of a page share a connection. */
import http2, { type ClientHttp2Session } from 'node:http2'
import { createToken } from '../token.js'
import { topicName } from './topic.js'

export interface Http2Plan {
  port: number
  /** The number of streams. */
  count: number
  /** The number of streams of a connection. */
  perConnection: number
  /** The time limit for opening all streams, in milliseconds. */
  timeout: number
}

export class Http2Subscribers {
  /** The number of ended streams. */
  closed = 0
  readonly #plan: Http2Plan

  constructor(plan: Http2Plan) {
    this.#plan = plan
  }

  /**
   * Opens the connections one after the other, and the streams of each at once.
   * @throws Error if a stream is refused, or if not all streams have their first block in time
   */
  async connect(): Promise<void> {
    const { port, count, perConnection, timeout } = this.#plan
    const until = performance.now() + timeout
    for (let opened = 0; opened < count; opened += perConnection) {
      if (performance.now() > until) throw new Error(`only ${opened} of ${count} streams have begun`)
      const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
      session.on('error', () => undefined) // each of its streams gets the error too
      const size = Math.min(perConnection, count - opened)
      await Promise.all(Array.from({ length: size }, (_, index) => this.#open(session, `page-${opened + index}`)))
    }
  }

  #open(session: ClientHttp2Session, subject: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ':path': `/topics/${topicName(0)}/events`,
        accept: 'text/event-stream',
        authorization: `Bearer ${createToken(subject)}`,
      })
      stream.on('error', reject)
      stream.once('response', ({ ':status': status }) => {
        if (status !== 200) reject(new Error(`a stream was refused with the status ${status}`))
      })
      stream.once('data', () => resolve())
      stream.once('close', () => {
        this.closed++
        reject(new Error('a stream was closed'))
      })
    })
  }
}
