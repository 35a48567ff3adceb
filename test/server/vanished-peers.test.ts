/**
 * Unreachable peers are abandoned. The tests use files in the format of the kernel's tables, and the kernel's own
 * tables.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { endianness, tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import fanfare from '../../src/index.js'
import { VanishedPeers, type Reachable } from '../../src/server/vanished-peers.js'
import { curlWithPrefix, skipCurl } from '../helper/curl.js'
import { poll } from '../helper/deadline.js'
import { makeNamespace, skipNamespace } from '../helper/namespace.js'
import { NATIVE_SOCKETS } from '../helper/native-sockets.js'
import { anyTopic, SECRET } from '../helper/token.js'
import { selfSigned } from '../plugins/certificate.js'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const PHONE = { remoteAddress: '127.0.0.77', remotePort: 32_823, localPort: 23_999 }

interface Row {
  local?: string
  remote?: string
  queue?: number
  retransmissions?: number
  probes?: number
}

/** A row of a little-endian machine; by default from 127.0.0.1:23999 to 127.0.0.77:32823. */
function row({
  local = '0100007F:5DBF',
  remote = '4D00007F:8037',
  queue = 6,
  retransmissions = 0,
  probes = 0,
}: Row): string {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0')
  return `   3: ${local} ${remote} 01 ${hex(queue)}:00000000 ${retransmissions > 0 ? '01' : '04'}:0000002C ${hex(retransmissions)}     0 ${String(probes).padStart(8)} 19068 2 0000000061c00000 204 4 30 10 -1`
}

function prepare(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-tables-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const tables = [join(folder, 'tcp'), join(folder, 'tcp6')]
  const sinks = new Set<Reachable>()
  const givenUp: Reachable['connection'][] = []
  const unreadable: unknown[] = []
  const peers = new VanishedPeers({ sinks, interval: 1e6, tables, onUnreadable: (err) => void unreadable.push(err) })
  t.teardown(() => peers.stop())

  function open(connection: Reachable['connection']): void {
    const sink = { connection, abandon: () => (sinks.delete(sink), void givenUp.push(connection)) }
    sinks.add(sink)
  }
  /** Checks a table of these rows once. */
  async function look(rows: Row[], table: 0 | 1 = 0): Promise<void> {
    const many = Array.from({ length: 2_000 }, () => row({ queue: 0, remote: '4E00007F:8037' }))
    writeFileSync(
      tables[table]!,
      `${[HEAD, ...many, ...rows.map(row), ...many].map((line) => line.padEnd(149)).join('\n')}\n`,
    )
    if (table === 1) writeFileSync(tables[0]!, `${HEAD}\n`)
    await peers.check()
  }
  return { open, look, givenUp, unreadable, peers }
}

await t.test(
  'tables',
  { skip: endianness() === 'LE' ? false : 'the rows here are of a little-endian machine' },
  async (t) => {
    await t.test('a peer that is unreachable at three checks is abandoned', async (t) => {
      for (const what of ['retransmissions', 'probes'] as const) {
        const { open, look, givenUp } = prepare(t)
        open(PHONE)
        open({ ...PHONE, remotePort: 32_824 })
        await look([{ [what]: 2 }])
        await look([{ [what]: 4 }])
        t.strictSame(givenUp, [], what)
        await look([{ [what]: 4 }])
        t.strictSame(givenUp, [PHONE], what)
      }
    })

    await t.test('an answer in between resets the count', async (t) => {
      const { open, look, givenUp } = prepare(t)
      open(PHONE)
      const signs: Row[][] = [
        [{ retransmissions: 0 }],
        [{ retransmissions: 1 }],
        [{ retransmissions: 5, queue: 0 }],
        [],
      ]
      for (const sign of signs) {
        await look([{ retransmissions: 5 }])
        await look([{ retransmissions: 6 }])
        await look(sign)
      }
      for (const retransmissions of [5, 6, 2, 3, 2, 3, 2]) await look([{ retransmissions }])
      t.strictSame(givenUp, [])
    })

    await t.test('a reachable peer that does not read is not abandoned', async (t) => {
      const { open, look, givenUp } = prepare(t)
      open(PHONE)
      for (let n = 0; n < 9; n++) await look([{ queue: 1e6, probes: n % 2 }])
      t.strictSame(givenUp, [])
    })

    await t.test('a connection is identified by both ports and the remote address', async (t) => {
      const { open, look, givenUp } = prepare(t)
      open(PHONE)
      for (let n = 0; n < 5; n++)
        await look([
          { remote: '4C00007F:8037', retransmissions: 9 },
          { local: '0100007F:5DC0', retransmissions: 9 },
        ])
      t.strictSame(givenUp, [])
      for (let n = 0; n < 3; n++) await look([{ remote: '4C00007F:8037', retransmissions: 9 }, { retransmissions: 9 }])
      t.strictSame(givenUp, [PHONE])
    })

    await t.test('reads IPv6 addresses, and IPv4 addresses of IPv6 sockets', async (t) => {
      for (const [remoteAddress, printed] of [
        ['::ffff:127.0.0.77', '0000000000000000FFFF00004D00007F'],
        ['2001:db8::1', 'B80D0120000000000000000001000000'],
        ['fe80::1%eth0', '000080FE000000000000000001000000'],
      ]) {
        const { open, look, givenUp } = prepare(t)
        const connection = { ...PHONE, remoteAddress }
        open(connection)
        for (let n = 0; n < 3; n++)
          await look(
            [{ local: '00000000000000000000000001000000:5DBF', remote: `${printed}:8037`, retransmissions: 5 }],
            1,
          )
        t.strictSame(givenUp, [connection])
      }
    })

    await t.test('missing tables are reported once', async (t) => {
      const { unreadable, peers } = prepare(t)
      await peers.check()
      t.match(unreadable, [{ code: 'ENOENT' }])
    })
  },
)

await t.test('the streams of a vanished machine end', { skip: skipNamespace || skipCurl }, async (t) => {
  const { key, cert } = selfSigned()
  const https = { key, cert }
  const apps = {
    'HTTP/1.1': Fastify(),
    'HTTP/1.1 over TLS': Fastify({ https }),
    'HTTP/2': Fastify({ http2: true, https }),
    'HTTP/2 without TLS': Fastify({ http2: true }),
  } as unknown as Record<string, FastifyInstance>
  const machine = makeNamespace(t)

  async function openStream(name: string, app: FastifyInstance): Promise<void> {
    t.teardown(() => app.close())
    await app.register(fanfare, {
      log: 'memory',
      jwtSecret: SECRET,
      heartbeat: 1_000,
      nativeSockets: NATIVE_SOCKETS,
    })
    await app.listen({ host: machine.host, port: 0 })
    const { port } = app.server.address() as AddressInfo
    const scheme = name.endsWith('without TLS') || name === 'HTTP/1.1' ? 'http' : 'https'
    const version = name.startsWith('HTTP/1.1') ? '--http1.1' : '--http2-prior-knowledge'
    const stream = curlWithPrefix(
      t,
      machine.prefix,
      '--no-buffer',
      '--insecure',
      version,
      '--header',
      `Authorization: Bearer ${anyTopic()}`,
      `${scheme}://${machine.host}:${port}/topics/a/events`,
    )
    await stream.until((output) => output.includes('fanfare.heartbeat'))
  }

  await Promise.all(Object.entries(apps).map(([name, app]) => openStream(name, app)))
  machine.vanish()
  for (const [name, app] of Object.entries(apps)) {
    await poll(
      async () => (app.hub.connections.size === 0 ? true : undefined),
      () => `${name}: the stream is still open`,
    )
    t.pass(name)
  }
})
