import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { anybody } from '../hub/anybody.js'
import { FakeSink } from '../hub/fake-sink.js'
import { Selection } from '../../src/model/selection.js'
import { hubOf } from '../../src/plugins/hub.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'

export interface OpenApp {
  app: FastifyInstance
  /** Sends a request. Its token grants everything, unless `headers` has an `authorization`; `null`: no token. */
  send: (
    options: Omit<InjectOptions, 'headers'> & { headers?: Record<string, string | null> },
  ) => Promise<LightMyRequestResponse>
  /** A subscriber without a socket. */
  subscribe: (...patterns: string[]) => Promise<FakeSink>
}

/**
 * The application on a memory log, with the secret of the tests' tokens and no tolerance for clocks; closed when the
 * test is over.
 */
export async function openApp(t: Test, settings: AppSettings = {}): Promise<OpenApp> {
  const key = settings.jwtPublicKey === undefined && settings.jwksUrl === undefined ? { jwtSecret: SECRET } : {}
  const app = await buildApp({ log: 'memory', ...key, clockTolerance: 0, nativeSockets: NATIVE_SOCKETS, ...settings })
  t.teardown(() => app.close())
  await app.ready()
  const bearer = `Bearer ${anyTopic()}`
  let ids = 0

  return {
    app,
    send: ({ headers = {}, ...options }) => {
      const all: Record<string, string | null> = { authorization: bearer, ...headers }
      return app.inject({
        ...options,
        headers: Object.fromEntries(
          Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
        ),
      })
    },
    subscribe: async (...patterns) => {
      const sink = new FakeSink()
      const selection = new Selection(patterns)
      const start = await hubOf(app).streams.locate(selection, {})
      hubOf(app).streams.subscribe({
        info: { id: `c${++ids}`, address: '127.0.0.1', principal: anybody },
        selection,
        format: 'raw',
        start,
        sink,
      })
      return sink
    },
  }
}

/** Listens on a free port of the loopback interface; returns the address, without a slash at the end. */
export async function listen(app: FastifyInstance): Promise<string> {
  return app.listen({ host: '127.0.0.1', port: 0 })
}

interface ProblemBody {
  type: string
  title: string
  status: number
  detail: string
  code: string
  requestId: string
  errors?: { path: string; message: string }[]
  line?: number
  accepted?: number
}

/** Checks that an answer is problem details (RFC 9457) with this status and code, and returns them. */
export function isProblem(
  t: Test,
  response: LightMyRequestResponse,
  status: number,
  code: string,
  what = code,
): ProblemBody {
  t.equal(
    `${response.statusCode} ${String(response.headers['content-type'])}`,
    `${status} application/problem+json`,
    what,
  )
  const body = response.json<ProblemBody>()
  t.match(
    body,
    { type: /\/errors\/[a-z-]+$/, title: /./, status, detail: /./, code, requestId: /./ },
    `${what}: ${body.detail}`,
  )
  t.ok(body.type.endsWith(`/errors/${code}`))
  for (const error of body.errors ?? []) t.match(error, { path: String, message: /./ })
  return body
}

/** Waits, turn after turn of the event loop, until a condition is true. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error('the condition did not become true')
    await turn()
  }
}
