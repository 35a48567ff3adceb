/** `fanfare doctor` before servers with TLS: a sentence for each fault of a certificate, and what to do. */
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../../helper/command.js'
import { startHub } from '../../helper/process.js'
import { anyTopic } from '../../helper/token.js'
import { selfSigned } from '../../plugins/certificate.js'

const DAY = 86_400_000

interface Outcome {
  code: number | null
  faults: string[]
  text: string
}

/** Examines a URL. @param trusted the file of a certificate that the command trusts */
async function examine(t: Test, url: string, trusted = ''): Promise<Outcome> {
  const { code, stdout } = await runCommand(t, ['doctor', url, '--json', '--wait', '0s'], {
    env: { FANFARE_TOKEN: anyTopic(), ...(trusted === '' ? {} : { NODE_EXTRA_CA_CERTS: trusted }) },
  })
  const findings = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; text: string })
  const faults = findings.filter(({ level }) => level === 'fault').map(({ text }) => text)
  return { code, faults, text: findings.map(({ text }) => text).join('\n') }
}

/** Starts a server that is no hub: the certificate is examined first. Returns its URL and its certificate's file. */
async function startServer(t: Test, options: Parameters<typeof selfSigned>[0] = {}) {
  const { key, cert } = selfSigned(options)
  const server = https.createServer({ key, cert }, (_request, response) => response.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const folder = t.testdir({ 'cert.pem': cert })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, file: join(folder, 'cert.pem') }
}

await t.test('a self-signed certificate', async (t) => {
  const { url } = await startServer(t)
  const { code, faults } = await examine(t, url)
  t.equal(code, 1)
  t.match(faults, [/^The certificate is self-signed: browsers refuse the hub\. .* set NODE_EXTRA_CA_CERTS to its file/])
})

await t.test('a certificate that has expired, or is not valid yet', async (t) => {
  const expired = await startServer(t, { from: -10 * DAY, until: -3 * DAY })
  t.match((await examine(t, expired.url, expired.file)).faults, [
    /^The certificate expired 3 days ago: renew it, and let the server load the new one\.$/,
  ])
  const early = await startServer(t, { from: DAY, until: 3 * DAY })
  t.match((await examine(t, early.url, early.file)).faults, [
    /^The certificate is not valid yet, only in 24 h: check the clock of this machine/,
  ])
})

await t.test('a certificate for another name', async (t) => {
  const server = await startServer(t, { host: 'hub.example.com' })
  const words =
    /^The certificate is for hub\.example\.com, and not for 127\.0\.0\.1: use a name of the certificate in the URL/
  t.match((await examine(t, server.url, server.file)).faults, [words])
  t.match((await examine(t, server.url)).faults, [words, /^The certificate is self-signed/], 'both faults')
  const { stderr } = await runCommand(t, ['topics', '--url', server.url], { env: { NODE_EXTRA_CA_CERTS: server.file } })
  t.match(stderr, /^No hub answers at .*: its certificate is for another name; check the host in the URL\.\n$/)
  const expired = await startServer(t, { host: 'hub.example.com', from: -10 * DAY, until: -3 * DAY })
  t.match((await examine(t, expired.url, expired.file)).faults, [/^The certificate expired 3 days ago/, words])
})

await t.test('a hub with a trusted certificate, HTTP/2 and HTTP/1.1', async (t) => {
  const { key, cert } = selfSigned()
  const folder = t.testdir({ 'key.pem': key, 'cert.pem': cert })
  const file = join(folder, 'cert.pem')
  const hub = await startHub(t, { FANFARE_TLS_CERT: file, FANFARE_TLS_KEY: join(folder, 'key.pem') })
  const { code, text } = await examine(t, hub.url.replace('http:', 'https:'), file)
  t.equal(code, 0, text)
  t.match(text, /^TLS works \(TLSv1\.3, .*\); the certificate is valid for 24 h: renew it/m)
  t.match(text, /^HTTP\/2: a browser can open many streams over one connection\.$/m)
  t.match(text, /^A published event arrives after /m)

  const plain = await examine(t, hub.url.replace('https:', 'http:'))
  t.match(plain.faults, [/use https/])
})

await t.test('a server without TLS', async (t) => {
  const { url } = await startHub(t)
  t.match((await examine(t, url.replace('http:', 'https:'))).faults, [
    /^The TLS handshake fails: it does not speak TLS there/,
  ])
})
