/** Compares the refusals of the document with those of the hub: each operation is called with each fault. */
import type { InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import type { ProblemCode } from '../../src/errors.js'
import type { DescribedOperation, OpenApi } from '../../src/openapi/open-api.js'
import { anyTopic, token } from '../helper/token.js'
import { openApp } from '../routes/open-app.js'

interface Listed {
  name: string
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  operation: DescribedOperation
}

type Headers = Record<string, string>

/** The difference from a request that the operation accepts. */
interface Fault {
  query?: string
  headers?: Headers
  payload?: string | Buffer
  /** The parameter of the path. */
  param?: string
}

const LARGE = Buffer.alloc(70 * 1024, ' ')
const json = (payload: string | Buffer, headers: Headers = {}): Fault => ({
  payload,
  headers: { 'content-type': 'application/json', ...headers },
})
const bearer = (value: string): Fault => ({ headers: { authorization: `Bearer ${value}` } })

const FAULTS: Record<string, Fault> = {
  'no token': { headers: { authorization: '' } },
  'a text that is not a token': bearer('x'),
  'a token without grants': bearer(token({ sub: 'u1' })),
  'an expired token': bearer(token({ sub: 'u1', exp: 1 })),
  'a cookie on a page of another site': {
    headers: { authorization: '', cookie: `fanfare_token=${anyTopic()}`, origin: 'https://evil.example' },
  },
  'a named cursor on a page of another site': {
    query: 'cursor=c',
    headers: {
      accept: 'text/event-stream',
      authorization: '',
      cookie: `fanfare_token=${token({ sub: 'u1', subscribe: ['**'] })}`,
      origin: 'https://evil.example',
    },
  },
  'an unknown parameter': { query: 'unheard-of=1' },
  'a token in the query': { query: 'access_token=1' },
  'a client that accepts images only': { headers: { accept: 'image/png' } },
  'a long parameter': { param: 'a'.repeat(1_000) },
  'a body of another type': { payload: '<a/>', headers: { 'content-type': 'application/xml' } },
  'a text': { payload: 'a', headers: { 'content-type': 'text/plain' } },
  lines: { payload: '{', headers: { 'content-type': 'application/x-ndjson' } },
  'an encoded body': json('{}', { 'content-encoding': 'gzip' }),
  'a body of another charset': json('{}', { 'content-type': 'application/json; charset=latin1' }),
  'half an object': json('{'),
  'an empty object': json('{}'),
  'bytes that are not UTF-8': json(Buffer.from([0x22, 0xff, 0x22])),
  'a large body': json(LARGE),
}

/** The codes that a fault above leads to wherever the document lists them. */
const COMPLETE: ProblemCode[] = [
  'missing-token',
  'malformed-token',
  'expired-token',
  'foreign-origin',
  'unknown-parameter',
  'token-in-query',
  'not-acceptable',
  'uri-too-long',
  'unsupported-media-type',
  'invalid-json',
  'invalid-encoding',
  'body-too-large',
]

async function openHub(t: Test, settings: { publishRate?: number } = {}) {
  const hub = await openApp(t, { maxEventSize: 1024, corsOrigins: ['https://app.example'], ...settings })
  const document = (await hub.app.inject('/openapi.json')).json<OpenApi>()
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Listed => {
      const name = method.toUpperCase()
      return { name: `${name} ${path}`, method: name as Listed['method'], path, operation }
    }),
  )
  return { ...hub, operations }
}

const VALUES: Record<string, string> = { topic: 'a', path: 'chats/1', code: 'not-found' }

/** Returns a request for an operation, with a fault. */
function requestFor({ method, path, operation }: Listed, { query, headers, payload, param }: Fault): InjectOptions {
  const required = (operation.parameters ?? []).filter((one) => one.in === 'query' && one.required)
  const parameters = [...required.map(({ name }) => `${name}=a`), query].filter((part) => part !== undefined)
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => param ?? VALUES[name] ?? 'x')
  return {
    method,
    url: parameters.length > 0 ? `${url}?${parameters.join('&')}` : url,
    headers: { accept: 'application/json', authorization: `Bearer ${anyTopic()}`, ...headers },
    ...(payload !== undefined && method !== 'GET' && method !== 'HEAD' && { payload }),
  }
}

interface Refusal {
  schema: { properties: { code: { enum: ProblemCode[] } } }
}

function codesOf({ responses }: DescribedOperation): ProblemCode[] {
  return Object.values(responses).flatMap(({ content }) => {
    const problem = content?.['application/problem+json'] as Refusal | undefined
    return problem?.schema.properties.code.enum ?? []
  })
}

await t.test('the document lists every refusal, and no other one', async (t) => {
  const { app, send, operations } = await openHub(t)
  t.ok(operations.length > 60)
  for (const listed of operations) {
    const stream = { url: '/streams/chats/1', headers: { 'content-type': 'application/json' } }
    await send({ method: 'DELETE', ...stream, headers: {} })
    await send({ method: 'PUT', ...stream })
    const documented = codesOf(listed.operation)
    const seen = new Set<ProblemCode>()
    for (const [what, fault] of Object.entries(FAULTS)) {
      const answer = await app.inject(requestFor(listed, fault))
      const { statusCode } = answer
      t.ok(String(statusCode) in listed.operation.responses, `${listed.name}, ${what}: ${statusCode} is documented`)
      if (statusCode < 400 || listed.method === 'HEAD') continue
      const { code } = answer.json<{ code: ProblemCode }>()
      t.ok(documented.includes(code), `${listed.name}, ${what}: ${code} is documented`)
      seen.add(code)
    }
    if (listed.method === 'HEAD') continue
    const expected = COMPLETE.filter((code) => documented.includes(code))
    t.strictSame(
      COMPLETE.filter((code) => seen.has(code)),
      expected,
      listed.name,
    )
  }
})

await t.test('operations that count as publishing are refused above the rate, as documented', async (t) => {
  const { app, operations } = await openHub(t, { publishRate: 1 })
  for (const listed of operations) {
    if (listed.name === 'PATCH /connections/{id}') continue // its `rate-limited` is about pending replays
    const headers = { authorization: `Bearer ${token({ sub: listed.operation.operationId, publish: ['**'] })}` }
    const statuses: number[] = []
    for (let n = 0; n < 3; n++) statuses.push((await app.inject(requestFor(listed, { headers }))).statusCode)
    t.equal(statuses.includes(429), codesOf(listed.operation).includes('rate-limited'), listed.name)
  }
})
