/** A hub with finite topics on a socket. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { AppSettings } from '../../../src/app.js'
import type { FiniteTopics } from '../../../src/hub/finite/finite-topic.js'
import { hubOf } from '../../../src/plugins/hub.js'
import { send, type Answer, type Sending } from '../../helper/http.js'
import { anyTopic } from '../../helper/token.js'
import { openStream, type EventStream } from '../../helper/stream.js'
import { listen, openApp } from '../open-app.js'

interface Options extends Omit<Sending, 'body'> {
  /** Sent as it is. */
  text?: string
}

export interface OpenStreams {
  app: FastifyInstance
  /** The address of the streams, with a slash at the end. */
  url: string
  finite: FiniteTopics
  /** Sends a request for a stream. Its token grants everything, unless it has one. */
  call: (method: string, path: string, options?: Options) => Promise<Answer>
  /** Creates a stream of a content type. */
  create: (path: string, contentType: string, text?: string, headers?: Record<string, string>) => Promise<Answer>
  /** Appends text to a stream of text. */
  append: (path: string, text: string, headers?: Record<string, string>) => Promise<Answer>
  /** Opens an event stream. */
  events: (t: Test, path: string, options?: { token?: string; lastEventId?: string }) => Promise<EventStream>
}

export async function openStreams(t: Test, settings: AppSettings = {}): Promise<OpenStreams> {
  const { app } = await openApp(t, settings)
  const url = `${await listen(app)}/streams/`
  const bearer = anyTopic()

  async function call(method: string, path: string, { text, headers, ...options }: Options = {}): Promise<Answer> {
    if (text === undefined)
      return send({ url }, method, path, { token: bearer, ...(headers && { headers }), ...options })
    const response = await fetch(url + path, {
      method,
      body: text,
      headers: { authorization: `Bearer ${options.token ?? bearer}`, 'content-type': 'text/plain', ...headers },
    })
    return { status: response.status, headers: response.headers, body: await response.text() }
  }

  return {
    app,
    url,
    finite: hubOf(app).finite,
    call,
    create: (path, contentType, text, headers) =>
      call('PUT', path, { ...(text !== undefined && { text }), headers: { 'content-type': contentType, ...headers } }),
    append: (path, text, headers) => call('POST', path, { text, ...(headers && { headers }) }),
    events: (t, path, options) => openStream(t, url + path, { token: bearer, ...options }),
  }
}

/** The `control` event of a stream. */
export interface Control {
  streamNextOffset: string
  streamCursor?: string
  upToDate?: true
  streamClosed?: true
  fanfareStatus?: string
}

/** Returns the control events so far. */
export function controlsOf(stream: EventStream): Control[] {
  return stream.events.filter(({ type }) => type === 'control').map(({ data }) => JSON.parse(data) as Control)
}

/** Returns the data of a stream so far. */
export function dataOf(stream: EventStream): string[] {
  return stream.events.filter(({ type }) => type === 'data').map(({ data }) => data)
}
