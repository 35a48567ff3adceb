import { pino } from 'pino'
import t from 'tap'
import { buildApp, type AppSettings } from '../../src/app.js'
import { SECRET } from '../helper/token.js'

/** The address that a refusal is logged with. */
async function addressOf(forwarded: string | string[], settings: AppSettings = { trustProxy: true }): Promise<unknown> {
  const addresses: unknown[] = []
  const logger = pino({ level: 'info' }, { write: (line) => void addresses.push((JSON.parse(line) as { remoteAddress?: string }).remoteAddress) })
  const app = await buildApp({ log: 'memory', jwtSecret: SECRET, ...settings }, logger)
  await app.inject({ url: '/nothing', headers: { 'x-forwarded-for': forwarded } })
  await app.close()
  return addresses.find((address) => address !== undefined)
}

await t.test('a port is no part of an address', async (t) => {
  for (const [forwarded, address] of [
    ['192.0.2.1:5678', '192.0.2.1'], ['192.0.2.1', '192.0.2.1'], ['[2001:db8::1]:80', '2001:db8::1'], ['[2001:db8::1]', '2001:db8::1'], ['2001:db8::1', '2001:db8::1'], ['2001:db8::1:8080', '2001:db8::1:8080'],
    ['[::ffff:192.0.2.1]:80', '::ffff:192.0.2.1'], ['192.0.2.1:5678, 10.0.0.1:80', '192.0.2.1'], [' 192.0.2.1:5678 ,[::1]:9', '192.0.2.1'], ['unknown', 'unknown'], ['_hidden:5', '_hidden:5'],
  ] as const) t.equal(await addressOf(forwarded), address, forwarded)
})

await t.test('a proxy with a port is believed like one without', async (t) => {
  const settings = { trustProxy: '127.0.0.1,10.0.0.0/8,2001:db8::/32' }
  t.equal(await addressOf('192.0.2.7:1, 192.0.2.1:5678, 10.0.0.1:80', settings), '192.0.2.1')
  t.equal(await addressOf('192.0.2.1:5678, [2001:db8::1]:80, 10.0.0.1:80', settings), '192.0.2.1')
  t.equal(await addressOf('192.0.2.7, 192.0.2.1:5678', { trustProxy: 1 }), '192.0.2.1')
})

await t.test('nobody is believed who is not trusted', async (t) => {
  t.equal(await addressOf('192.0.2.1:5678', {}), '127.0.0.1')
})

await t.test('a proxy that is no network is refused by the application, too', async (t) => {
  for (const trustProxy of ['10.0.0.0/33', 'proxy.example.com', '::1/129', 0.5]) {
    await t.rejects(buildApp({ log: 'memory', jwtSecret: SECRET, trustProxy }), { name: 'SettingsError', message: /^The option trustProxy: .* must be false, true/ }, String(trustProxy))
  }
})
