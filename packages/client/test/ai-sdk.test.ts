/** The transport of chats: what names an answer, how an answer ends, and what stops it. */
import t, { type Test } from 'tap'
import { createChatTransport, type ChatTransport, type ChatTransportOptions } from 'fanfare-client/ai-sdk'
import { poll } from '../../../test/helper/deadline.js'
import { send } from '../../../test/helper/http.js'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants, clientOf } from './hubs.js'

interface Chunk {
  type: string
}

const hub = await startHub(t)
const token = anyGrants()

async function streams(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const json = { 'content-type': 'application/json', ...headers }
  return send(hub, method, `/streams/${path}`, { token, headers: json, ...(body !== undefined && { body }) })
}

/** Creates a finite topic of JSON. */
const create = (path: string) => streams('PUT', path)
const end = (path: string, status = 'done') =>
  streams('POST', path, undefined, { 'stream-closed': 'true', 'fanfare-status': status })

/** Returns how the hub says that a topic has ended. */
async function statusOf(path: string): Promise<string | null> {
  return (await streams('HEAD', path)).headers.get('fanfare-status')
}

interface Sent {
  url: string
  method: string | undefined
  headers: Record<string, string>
  body: unknown
}

/** Returns a transport whose application answers as `answer` says, and what it is sent. */
function transportOf(
  t: Test,
  answer: (sent: Sent) => Response | Promise<Response>,
  options: ChatTransportOptions = {},
): { transport: ChatTransport<unknown, Chunk>; sent: Sent[] } {
  const sent: Sent[] = []
  const application: typeof fetch = async (url, { method, headers, body } = {}) => {
    const one = {
      url: url as string,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      body: typeof body === 'string' ? (JSON.parse(body) as unknown) : undefined,
    }
    sent.push(one)
    return answer(one)
  }
  const transport = createChatTransport<unknown, Chunk>(clientOf(t, hub.url), { fetch: application, ...options })
  return { transport, sent }
}

function message(chatId: string, abortSignal?: AbortSignal) {
  return { trigger: 'submit-message' as const, chatId, messageId: undefined, messages: [{ id: 'm' }], abortSignal }
}

async function typesOf(stream: ReadableStream<Chunk> | null): Promise<string[]> {
  const types: string[] = []
  for await (const { type } of stream!) types.push(type)
  return types
}

await t.test('the application gets the messages, and names the answer', async (t) => {
  await create('chats/1')
  await streams('POST', 'chats/1', [{ type: 'start' }, { type: 'finish' }])
  await end('chats/1')
  const { transport, sent } = transportOf(t, () => Response.json({ stream: 'chats.1' }), {
    api: '/chat?x=1',
    headers: () => ({ Authorization: 'a', 'x-own': 'b' }),
    body: { model: 'small', id: 'overwritten' },
  })
  const asked = { ...message('c 1'), headers: { authorization: 'c' }, body: { more: true } }
  t.strictSame(await typesOf(await transport.sendMessages(asked)), ['start', 'finish'])
  t.strictSame(await typesOf(await transport.reconnectToStream({ chatId: 'c 1' })), ['start', 'finish'])
  const [post, get] = sent
  t.match(post, { url: '/chat?x=1', method: 'POST', headers: { authorization: 'c', 'x-own': 'b' } })
  t.strictSame(post!.body, {
    ...{ model: 'small', more: true, id: 'c 1' },
    ...{ messages: [{ id: 'm' }], trigger: 'submit-message' },
  })
  t.match(get, { url: '/chat/c%201/stream?x=1', method: 'GET', headers: { authorization: 'a' } })
})

await t.test('an answer that is not there is null for a reconnect, and an error for a message', async (t) => {
  const answers = [
    () => new Response(null, { status: 204 }),
    () => Response.json({ stream: null }),
    () => Response.json({ stream: 'chats.none' }),
  ]
  for (const answer of answers) {
    const { transport } = transportOf(t, answer)
    t.equal(await transport.reconnectToStream({ chatId: 'c' }), null)
    await t.rejects(transport.sendMessages(message('c')), /named no stream|no finite topic "chats.none"/)
  }
  const { transport } = transportOf(t, () => new Response('no model today', { status: 503 }))
  await t.rejects(transport.sendMessages(message('c')), { message: 'no model today' })
  await t.rejects(transport.reconnectToStream({ chatId: 'c' }), { message: 'no model today' })
  const page = transportOf(t, () => new Response('<!doctype html>'))
  await t.rejects(page.transport.sendMessages(message('c')), /is no JSON/)
})

await t.test('the end of an answer is the end of its chunks', async (t) => {
  const { transport } = transportOf(t, ({ body }) => Response.json({ stream: `ends.${(body as { id: string }).id}` }))
  for (const status of ['done', 'error', 'cancelled']) {
    await create(`ends/${status}`)
    const reading = typesOf(await transport.sendMessages(message(status)))
    const failed = status === 'error' ? t.rejects(reading, /not whole.*error/) : undefined
    await streams('POST', `ends/${status}`, [{ type: 'start' }])
    if (status === 'cancelled') await streams('POST', `ends/${status}/cancel`)
    else await end(`ends/${status}`, status)
    if (failed) await failed
    else t.strictSame(await reading, status === 'done' ? ['start'] : ['start', 'abort'])
  }
  await streams('PUT', 'ends/text', undefined, { 'content-type': 'text/plain' })
  await streams('POST', 'ends/text', 'x', { 'content-type': 'text/plain' })
  await t.rejects(typesOf(await transport.sendMessages(message('text'))), /no JSON/)
})

await t.test('a stop ends the answer for all, also before it has a name', async (t) => {
  const { transport } = transportOf(t, async ({ body }) => {
    const { id } = body as { id: string }
    await create(`stops/${id}`)
    return Response.json({ stream: `stops.${id}` })
  })
  const early = new AbortController()
  const rejected = t.rejects(transport.sendMessages(message('early', early.signal)), { name: 'AbortError' })
  early.abort()
  await rejected
  await poll(
    async () => (await statusOf('stops/early')) ?? undefined,
    () => 'the answer goes on',
  )
  t.equal(await statusOf('stops/early'), 'cancelled')

  const late = new AbortController()
  const stream = await transport.sendMessages(message('late', late.signal))
  await streams('POST', 'stops/late', [{ type: 'start' }])
  const reader = stream.getReader()
  t.strictSame((await reader.read()).value, { type: 'start' })
  late.abort()
  await t.rejects(reader.read(), { name: 'AbortError' })
  await poll(
    async () => (await statusOf('stops/late')) ?? undefined,
    () => 'the answer goes on',
  )
  t.equal(await statusOf('stops/late'), 'cancelled')
})

await t.test(
  'a reconnect that another one replaces, a reader that leaves and `stop: leave` stop nothing',
  async (t) => {
    await create('kept/1')
    const answer = () => Response.json({ stream: 'kept.1' })
    const { transport } = transportOf(t, answer)
    const first = new AbortController()
    const replaced = t.rejects(transport.reconnectToStream({ chatId: 'c', abortSignal: first.signal }))
    first.abort()
    const second = await transport.reconnectToStream({ chatId: 'c' })
    await replaced
    await second!.cancel()
    const leaving = new AbortController()
    const { transport: lenient } = transportOf(t, answer, { stop: 'leave' })
    const left = await lenient.sendMessages(message('c', leaving.signal))
    leaving.abort()
    await t.rejects(typesOf(left), { name: 'AbortError' })
    const reading = typesOf(await lenient.sendMessages(message('c')))
    await end('kept/1')
    t.strictSame(await reading, [])
    t.equal(await statusOf('kept/1'), 'done')
  },
)
