/** A client of a proxy that speaks HTTP/2 over TLS, as a browser does. */
import { once } from 'node:events'
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import { within } from '../../helper/deadline.js'
import { EventStream, type StreamOptions } from '../../helper/stream.js'
import { APP_HOST, HUB_HOST } from './certificate.js'

/** An answer with its whole body. */
export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

export interface ClientOptions {
  /** The certificate to trust. */
  pem: string
  host?: typeof HUB_HOST | typeof APP_HOST
  /** The address to connect from. */
  localAddress?: string
}

/** One HTTP/2 connection. It is closed when the test is over. */
export class Http2Client {
  readonly #session: ClientHttp2Session
  readonly #host: string

  private constructor(session: ClientHttp2Session, host: string) {
    this.#session = session
    this.#host = host
  }

  /** @throws if the proxy does not speak HTTP/2 */
  static async connect(t: Test, port: number, { pem, host = HUB_HOST, localAddress }: ClientOptions) {
    const local = localAddress === undefined ? {} : { localAddress }
    const session = http2.connect(`https://127.0.0.1:${port}`, { ca: pem, servername: host, ...local })
    session.on('error', () => undefined) // its streams report it
    t.teardown(() => session.destroy())
    // the limit of streams is known from then on
    await within(once(session, 'remoteSettings'), () => 'no connection with HTTP/2')
    return new Http2Client(session, host)
  }

  /** Sends a request. With a body, that ends it. */
  async send(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
    const stream = this.begin(method, path, headers)
    stream.end(body)
    return answerOf(stream)
  }

  /** Begins a request whose body is still to be written. */
  begin(method: string, path: string, headers: Record<string, string>): ClientHttp2Stream {
    const fields = { ':method': method, ':path': path, ':authority': this.#host, ...headers }
    const stream = this.#session.request(fields, { endStream: false })
    stream.on('error', () => undefined) // `answerOf` rejects when it closes
    return stream
  }

  /** Opens an event stream. Resolves when the head of the answer has arrived. */
  async openStream(path: string, options: StreamOptions & { token: string }): Promise<EventStream> {
    const stream = this.begin('GET', path, {
      accept: 'text/event-stream',
      authorization: `Bearer ${options.token}`,
      ...(options.lastEventId !== undefined && { 'last-event-id': options.lastEventId }),
      ...options.headers,
    }).end()
    const headers = await headOf(stream)
    if (headers[':status'] !== 200) throw new Error(`GET ${path}: ${headers[':status'] ?? '?'}`)
    const message = Object.assign(stream, { statusCode: headers[':status'], headers })
    // a stream of HTTP/2 has all that EventStream uses of a message
    return new EventStream(message as unknown as IncomingMessage, options)
  }
}

type Head = IncomingHttpHeaders & IncomingHttpStatusHeader

async function headOf(stream: ClientHttp2Stream): Promise<Head> {
  const head = new Promise<Head>((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('close', () => reject(new Error(`the stream was closed with code ${stream.rstCode}`)))
  })
  return within(head, () => 'no head of an answer arrives')
}

/** Reads an answer. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const headers = await headOf(stream)
  stream.setEncoding('utf8')
  let body = ''
  for await (const part of stream) body += part as string
  return { status: headers[':status'] ?? 0, headers, body }
}
