/** `fanfare doctor` against hubs, proxies and servers with the faults that it is for. */
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { runCommand } from '../helper/command.js'
import { freePort } from '../helper/free-port.js'
import { skipNginx, startPlainNginx } from '../helper/nginx.js'
import { startHub, type Hub } from '../helper/process.js'
import { token } from '../helper/token.js'

interface Finding {
  check: string
  level: 'ok' | 'note' | 'fault'
  text: string
}

const bearer = token({ sub: 'u1', subscribe: ['**'], publish: ['**'] })

async function examine(
  t: Test,
  url: string,
  args: string[] = [],
  jwt = bearer,
): Promise<{ code: number | null; findings: Finding[]; faults: string[] }> {
  const { code, stdout, stderr } = await runCommand(t, ['doctor', url, '--json', '--wait', '0s', ...args], {
    env: { FANFARE_TOKEN: jwt },
  })
  t.equal(stderr, '')
  const findings = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding)
  const faults = findings.filter(({ level }) => level === 'fault').map(({ text }) => text)
  return { code, findings, faults }
}

/** Returns the findings of one check as one text. */
function about(findings: readonly Finding[], check: string): string {
  return findings
    .filter((finding) => finding.check === check)
    .map(({ text }) => text)
    .join('\n')
}

await t.test('a hub without a fault', async (t) => {
  const hub = await startHub(t, { FANFARE_HEARTBEAT: '1s', FANFARE_CORS_ORIGINS: 'https://app.example.com' })
  const { code, findings, faults } = await examine(t, hub.url, ['--wait', '20s', '--origin', 'https://app.example.com'])
  t.strictSame({ code, faults }, { code: 0, faults: [] })
  t.match(about(findings, 'network'), /accepts connections/)
  t.match(about(findings, 'hub'), /^Fanfare \d+\.\d+\.\d+ answers .*\nThe clocks .* agree\.$/)
  t.match(about(findings, 'cors'), /^Pages of https:\/\/app\.example\.com may use the hub, also with cookies/)
  t.match(about(findings, 'token'), /subject "u1", never expires; it may subscribe to \*\* and publish to \*\*\.$/)
  t.match(about(findings, 'stream'), /begins .*\nA published event arrives .*\nA heartbeat arrives /)
  const text = await runCommand(t, ['doctor', hub.url, '--wait', '0s'], { env: { FANFARE_TOKEN: bearer } })
  t.match(text, { code: 0, stderr: '' })
  t.match(text.stdout, /^ok {5}hub {6}Fanfare /m)
})

await t.test('nothing listens, or another server answers', async (t) => {
  const { code, faults } = await examine(t, `http://127.0.0.1:${await freePort()}`)
  t.equal(code, 1)
  t.match(faults, [/accepts no connection: nothing listens there/])
  t.match((await examine(t, 'http://nowhere.invalid')).faults, [/^nowhere\.invalid has no address/])
  const server = createServer((_request, response) => response.end('<p>hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match((await examine(t, url)).faults, [/answers \/status with 200 .* not as a hub does/])
  t.match((await examine(t, url.replace('http:', 'https:'))).faults, [/^The TLS handshake fails: /])
})

await t.test('an origin that the hub does not allow', async (t) => {
  const hub = await startHub(t, { FANFARE_CORS_ORIGINS: 'https://app.example.com' })
  for (const origin of ['https://other.example.com', 'http://app.example.com', 'capacitor://localhost']) {
    const { code, faults } = await examine(t, hub.url, ['--origin', origin])
    t.equal(code, 1)
    t.match(faults, [new RegExp(`^Pages of ${origin} may not use the hub: add the origin to FANFARE_CORS_ORIGINS`)])
  }
  t.match(await examine(t, hub.url, ['--origin', hub.url]), { code: 0 }, 'the origin of the hub itself')
})

await t.test('tokens that are refused, or allow little', async (t) => {
  const hub = await startHub(t)
  const hourAgo = Math.floor(Date.now() / 1_000) - 3_600
  const expired = await examine(t, hub.url, [], token({ sub: 'u1', exp: hourAgo }))
  t.equal(expired.code, 1)
  t.match(expired.faults, [/\(401 expired-token\).* It expired 60 min ago .*: get a new one\.$/])
  t.match((await examine(t, hub.url, [], token({}, { secret: 'x'.repeat(40) }))).faults, [/\(401 invalid-signature\)/])
  t.match((await examine(t, hub.url, [], 'abc')).faults, [/^The token is not a JSON Web Token/])
  const reader = await examine(t, hub.url, [], token({ subscribe: ['orders.*'] }))
  t.equal(reader.code, 0)
  t.match(
    about(reader.findings, 'token'),
    /no subject, never expires; it may subscribe to orders\.\* and publish to nothing/,
  )
  t.match(about(reader.findings, 'stream'), /^A stream of orders\.\* begins/)
  const anonymous = await examine(t, hub.url, [], '')
  t.equal(anonymous.code, 0)
  t.match(
    anonymous.findings.filter(({ level }) => level === 'note').map(({ check }) => check),
    ['network', 'token', 'stream'],
  )
})

/** Starts a proxy that changes the header Date of answers by a number of milliseconds. */
async function startShiftedClock(t: Test, hub: Hub, shift: number): Promise<string> {
  const proxy = createServer((request, response) => {
    const { method, url, headers } = request
    const forwarded = httpRequest(hub.url + (url ?? ''), { method, headers, agent: false }, (answer) => {
      const date = new Date(Date.now() + shift).toUTCString()
      response.writeHead(answer.statusCode ?? 502, { ...answer.headers, date })
      answer.pipe(response)
    })
    forwarded.on('error', () => response.destroy())
    response.on('close', () => forwarded.destroy())
    request.pipe(forwarded)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

await t.test('a clock that is ahead or behind', async (t) => {
  const hub = await startHub(t)
  for (const [shift, words] of [
    [3_600_000, /^The clock of the hub, .* is 60 min ahead of the clock of this machine: .* NTP/],
    [-125_000, /^The clock of the hub, .* is 2 min behind the clock of this machine/],
  ] as const) {
    const { code, faults } = await examine(t, await startShiftedClock(t, hub, shift))
    t.equal(code, 1)
    t.match(faults, [words])
  }
})

await t.test('proxies that keep a stream back, compress it or cut it', { skip: skipNginx }, async (t) => {
  const hub = await startHub(t)
  const nginx = await startPlainNginx(t, hub.port, '')
  t.match(await examine(t, nginx.url), { code: 0, faults: [] }, 'nginx with its defaults')

  const buffering = await startPlainNginx(t, hub.port, 'proxy_ignore_headers X-Accel-Buffering;')
  const held = await examine(t, buffering.url)
  t.equal(held.code, 1)
  t.match(held.faults, [/^A stream of .* does not begin .*: a proxy keeps the stream back\. .*proxy_buffering off/])

  const compressing = await startPlainNginx(t, hub.port, 'gzip on; gzip_types text/event-stream; gzip_min_length 0;')
  t.match((await examine(t, compressing.url)).faults, [/^A proxy compresses the stream \(gzip\)/])

  const impatient = await startPlainNginx(t, hub.port, 'proxy_read_timeout 2s;')
  t.match((await examine(t, impatient.url, ['--wait', '20s'])).faults, [
    /^The stream is cut after 2\.\d s, before a heartbeat: .*proxy_read_timeout/,
  ])
})
