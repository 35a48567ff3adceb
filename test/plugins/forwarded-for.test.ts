import { pino } from 'pino'
import t from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { SECRET } from '../helper/token.js'

/** Returns the address in the log message of a refusal. */
async function addressOf(forwarded: string | string[], settings: AppSettings = { trustProxy: true }): Promise<unknown> {
  const addresses: unknown[] = []
  const logger = pino(
    { level: 'info' },
    { write: (line) => void addresses.push((JSON.parse(line) as { remoteAddress?: string }).remoteAddress) },
  )
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET, ...settings }, logger)
  await app.inject({ url: '/nothing', headers: { 'x-forwarded-for': forwarded } })
  await app.close()
  return addresses.find((address) => address !== undefined)
}

await t.test('ports are removed from addresses', async (t) => {
  for (const [forwarded, address] of [
    ['192.0.2.1:5678', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['[2001:db8::1]:80', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8::1:8080', '2001:db8::1:8080'],
    ['[::ffff:192.0.2.1]:80', '192.0.2.1'],
    ['192.0.2.1:5678, 10.0.0.1:80', '192.0.2.1'],
    [' 192.0.2.1:5678 ,[::1]:9', '192.0.2.1'],
    ['unknown', 'unknown'],
    ['_hidden:5', '_hidden:5'],
  ] as const)
    t.equal(await addressOf(forwarded), address, forwarded)
})

await t.test('addresses are normalized', async (t) => {
  for (const [forwarded, address] of [
    ['2001:DB8::A', '2001:db8::a'],
    ['2001:0db8:0000:0000:0000:0000:0000:000a', '2001:db8::a'],
    ['[2001:DB8:0:0::A]:80', '2001:db8::a'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:201', '192.0.2.1'],
    ['"192.0.2.1"', '192.0.2.1'],
    ['"192.0.2.1:80"', '192.0.2.1'],
    ['"[2001:db8::a]:80"', '2001:db8::a'],
    ['192.0.2.1 :80', '192.0.2.1'],
    ['[2001:db8::a] : 80', '2001:db8::a'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['"unknown"', 'unknown'],
    ['1:2:3', '1:2:3'],
    ['999.0.0.1:80', '999.0.0.1'],
  ] as const)
    t.equal(await addressOf(forwarded), address, forwarded)
})

await t.test('a limit per address counts a /64 network of IPv6 as one', async (t) => {
  const app = await buildApp({
    log: 'memory',
    jwtSecret: SECRET,
    anonymousSubscribe: ['a'],
    trustProxy: true,
    maxConnectionsPerAddress: 1,
  })
  t.teardown(() => app.close())
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const isBusy = async (forwarded: string): Promise<boolean> => {
    const { body } = await fetch(`${origin}/topics/a/events`, { headers: { 'x-forwarded-for': forwarded } })
    const { value } = await body!.pipeThrough(new TextDecoderStream()).getReader().read()
    return value!.includes('"busy"')
  }
  for (const [forwarded, busy] of [
    ['2001:db8::1', false],
    ['2001:DB8:0:0:ffff::2', true],
    ['[2001:db8:0:0::3]:80', true],
    ['2001:db8:0:1::1', false],
    ['::ffff:192.0.2.1', false],
    ['192.0.2.1', true],
    ['"192.0.2.1:7"', true],
    ['192.0.2.2', false],
  ] as const)
    t.equal(await isBusy(forwarded), busy, forwarded)
})

await t.test('a trusted proxy may have a port', async (t) => {
  const settings = { trustProxy: '127.0.0.1,10.0.0.0/8,2001:db8::/32' }
  t.equal(await addressOf('192.0.2.7:1, 192.0.2.1:5678, 10.0.0.1:80', settings), '192.0.2.1')
  t.equal(await addressOf('192.0.2.1:5678, [2001:db8::1]:80, 10.0.0.1:80', settings), '192.0.2.1')
  t.equal(await addressOf('192.0.2.7, 192.0.2.1:5678', { trustProxy: 1 }), '192.0.2.1')
})

await t.test('headers of untrusted proxies are ignored', async (t) => {
  t.equal(await addressOf('192.0.2.1:5678', {}), '127.0.0.1')
})

await t.test('the application refuses a proxy that is not an address or network', async (t) => {
  for (const trustProxy of ['10.0.0.0/33', 'proxy.example.com', '::1/129', 0.5]) {
    await t.rejects(
      buildApp({ log: 'memory', jwtSecret: SECRET, trustProxy }),
      { name: 'SettingsError', message: /^The option trustProxy: .* must be false, true/ },
      String(trustProxy),
    )
  }
})
