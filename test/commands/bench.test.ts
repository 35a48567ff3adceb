/** `fanfare bench` against a hub, and against servers that speak as Mercure and Centrifugo do. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { runCommand } from '../helper/command.js'
import { startHub } from '../helper/process.js'
import { token } from '../helper/token.js'

const SHORT = ['--duration', '500ms', '--warmup', '200ms', '--rate', '50', '--subscribers', '5', '--json']
const bearer = token({ sub: 'u1', subscribe: ['**'], publish: ['**'], admin: true })

await t.test('a load on a hub is delivered, measured and removed', async (t) => {
  const hub = await startHub(t)
  const { code, stdout, stderr } = await runCommand(
    t,
    ['bench', hub.url, ...SHORT, '--topics', '2', '--payload', '500'],
    {
      env: { FANFARE_TOKEN: bearer },
    },
  )
  t.strictSame({ code, stderr }, { code: 0, stderr: '' }, 'no progress is printed without a terminal')
  const report = JSON.parse(stdout) as { published: number; delivered: number; latency: { p50: number; max: number } }
  t.match(report, { published: 35, refused: 0, lost: 0, reordered: 0, repeated: 0, ended: 0, kind: 'fanfare' })
  // events 0, 2, … are of the topic of subscribers 0, 2 and 4; events 1, 3, … of that of subscribers 1 and 3
  t.equal(report.delivered, 18 * 3 + 17 * 2)
  t.ok(report.latency.p50 > 0 && report.latency.max >= report.latency.p50)
  const topics = await runCommand(t, ['topics', '--json'], { env: { FANFARE_URL: hub.url, FANFARE_TOKEN: bearer } })
  t.equal(topics.stdout, '', 'the events of the load are purged')
})

await t.test('the report is a table, and refused events and streams are named', async (t) => {
  const hub = await startHub(t, { FANFARE_MAX_CONNECTIONS_PER_SUBJECT: '3' })
  const env = { FANFARE_TOKEN: token({ sub: 'u1', subscribe: ['**'] }) }
  const readOnly = await runCommand(t, ['bench', hub.url, ...SHORT.slice(0, 6), '--subscribers', '2'], { env })
  t.equal(readOnly.code, 1)
  t.match(readOnly.stdout, /^published +0 events$/m)
  t.match(readOnly.stdout, /^refused +35: 403 /m)
  const many = await runCommand(t, ['bench', hub.url, '--subscribers', '4'], { env })
  t.match(many, { code: 1, stdout: '', stderr: /^1 of 4 streams ended at once: .*FANFARE_MAX_CONNECTIONS_PER_SUBJECT/ })
  t.match(await runCommand(t, ['bench', hub.url], { env: { FANFARE_TOKEN: 'x' } }), {
    code: 2,
    stderr: /^A stream is refused \(401\)/,
  })
  t.match(await runCommand(t, ['bench', 'http://127.0.0.1:1'], { env }), { code: 3, stderr: /cannot be reached/ })
})

await t.test('a load on another machine is refused without --remote', async (t) => {
  for (const args of [
    ['https://hub.example.com'],
    ['http://127.0.0.1:1', '--publish-url', 'https://hub.example.com/{topic}'],
  ])
    t.match(await runCommand(t, ['bench', ...args]), {
      code: 1,
      stderr: /^hub\.example\.com is not this machine: add --remote/,
    })
})

interface FakeServer {
  url: string
  /** The published requests: path, headers and body. */
  published: { path: string; headers: IncomingMessage['headers']; body: string }[]
  /** The paths of streams. */
  streams: string[]
}

/** Starts a server that sends what `dataOf` returns for each published body to all streams. */
async function startServer(t: Test, dataOf: (body: string) => string): Promise<FakeServer> {
  const server: FakeServer = { url: '', published: [], streams: [] }
  const streams = new Set<ServerResponse>()
  const http = createServer((request, response) => {
    const path = request.url ?? ''
    if (request.method === 'GET') {
      server.streams.push(path)
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n')
      streams.add(response)
      return
    }
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => (body += part))
    request.on('end', () => {
      server.published.push({ path, headers: request.headers, body })
      const data = dataOf(body)
      for (const stream of streams) stream.write(`data: ${data}\n\n`)
      response.end('ok')
    })
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => {
    http.closeAllConnections()
    http.close()
  })
  server.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return server
}

await t.test('Mercure gets a form with topic and data, and streams by topic', async (t) => {
  const server = await startServer(t, (body) => new URLSearchParams(body).get('data') ?? '')
  const { code, stdout } = await runCommand(t, ['bench', server.url, ...SHORT, '--kind', 'mercure', '--token', 'jwt'])
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { published: 35, delivered: 175, lost: 0 })
  t.match(server.streams[0], /^\/\.well-known\/mercure\?topic=bench\.\w+\.0$/)
  t.match(server.published[0], {
    path: '/.well-known/mercure',
    headers: { authorization: 'Bearer jwt', 'content-type': 'application/x-www-form-urlencoded' },
  })
  t.match(new URLSearchParams(server.published[0]!.body).get('topic'), /^bench\./)
})

await t.test(
  'Centrifugo gets a publication over its API, and connects with the subscription in the query',
  async (t) => {
    const server = await startServer(t, (body) => JSON.stringify({ pub: JSON.parse(body) as unknown }))
    const args = ['bench', server.url, ...SHORT, '--kind', 'centrifugo', '--api-key', 'key']
    const { code, stdout } = await runCommand(t, args)
    t.equal(code, 0)
    t.match(JSON.parse(stdout), { published: 35, delivered: 175, lost: 0 })
    const connect = new URL(server.streams[0]!, server.url).searchParams.get('cf_connect')!
    t.match(server.streams[0], /^\/connection\/uni_sse\?/)
    t.match(Object.keys((JSON.parse(connect) as { subs: object }).subs), [/^bench\.\w+\.0$/])
    t.match(server.published[0], { path: '/api/publish', headers: { 'x-api-key': 'key' } })
    t.match(JSON.parse(server.published[0]!.body), { channel: /^bench\./, data: { stamp: /^bench-/ } })
  },
)

await t.test('any server is measured with templates, or with a command that publishes', async (t) => {
  const server = await startServer(t, (body) => body)
  const templates = [
    ...['--subscribe-url', `${server.url}/s/{topic}`, '--publish-url', `${server.url}/p/{topic}`],
    ...['--publish-body', '{"to":"{topic}","what":{payload}}', '--publish-header', 'x-key: secret'],
  ]
  const outcome = await runCommand(t, ['bench', server.url, ...SHORT, '--kind', 'sse', ...templates])
  t.equal(outcome.code, 0, outcome.stderr)
  t.match(server.published[0], { path: /^\/p\/bench\./, headers: { 'x-key': 'secret' } })

  const post = `fetch('${server.url}/c', { method: 'POST', body: line })`
  const code = `const rl = require('readline').createInterface({ input: process.stdin }); (async () => { for await (const line of rl) await ${post} })()`
  const command = `'${process.execPath}' -e "${code}"`
  const piped = await runCommand(t, ['bench', server.url, ...SHORT, '--kind', 'sse', '--publish-command', command])
  t.equal(piped.code, 0, piped.stderr + piped.stdout)
  t.match(JSON.parse(piped.stdout), { published: 35, delivered: 175, lost: 0, repeated: 0 })
  const ended = await runCommand(t, ['bench', server.url, ...SHORT, '--kind', 'sse', '--publish-command', 'exit 3'])
  t.match(ended, { code: 1 })
  t.match(JSON.parse(ended.stdout), { refusal: /The command that publishes has ended \(3\)/ })
})

await t.test('lost, repeated and cut deliveries are counted, and the exit code is 1', async (t) => {
  let count = 0
  const server = await startServer(t, (body) =>
    ++count === 3 ? 'lost' : count === 5 ? `${body}\ndata: ${body}` : body,
  )
  const args = ['bench', server.url, ...SHORT, '--kind', 'sse', '--publish-url', server.url]
  const { code, stdout } = await runCommand(t, args)
  t.equal(code, 1)
  t.match(JSON.parse(stdout), { published: 35, lost: 5, repeated: 5 })
})
