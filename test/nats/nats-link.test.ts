import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { NatsLink } from '../../src/nats/nats-link.js'
import { freePort } from '../helper/free-port.js'
import { poll } from '../helper/deadline.js'
import { skipNats, startNats } from '../helper/nats.js'
import { selfSigned } from '../plugins/certificate.js'

const OPTIONS = { prefix: 'test', timeout: 500, tls: false }

/** Starts a server that sends the greeting of a nats-server. */
async function introduce(t: Test, info: object): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write(`INFO ${JSON.stringify(info)}\r\n`)
    socket.on('data', (data) => {
      if (data.toString().includes('PING')) socket.write('PONG\r\n')
    })
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

await t.test('a server that is too old is refused', async (t) => {
  const info = {
    server_id: 'X',
    server_name: 'old',
    version: '2.11.9',
    go: 'go1',
    headers: true,
    max_payload: 1e6,
    proto: 1,
  }
  for (const version of ['2.11.9', '1.4.0']) {
    const server = await introduce(t, { ...info, version })
    await t.rejects(NatsLink.open({ ...OPTIONS, servers: [server] }, 'test'), {
      name: 'NatsError',
      message: new RegExp(`old runs nats-server ${version}, and the hub needs 2.12 or newer`),
    })
  }
  for (const version of ['2.12.0', '2.15.1-beta', '3.0.0']) {
    const link = await NatsLink.open({ ...OPTIONS, servers: [await introduce(t, { ...info, version })] }, 'test')
    await link.close()
  }
})

await t.test('a server that does not answer is an error that names it', async (t) => {
  const port = await freePort()
  await t.rejects(NatsLink.open({ ...OPTIONS, servers: [`127.0.0.1:${port}`] }, 'test'), {
    name: 'NatsError',
    message: new RegExp(`NATS at 127.0.0.1:${port} has not accepted the hub within 500 ms.*FANFARE_LOG`),
  })
})

await t.test('a file that cannot be read is an error that names it', async (t) => {
  const options = { ...OPTIONS, servers: ['127.0.0.1:4222'] }
  for (const files of [{ credentialsFile: '/nowhere' }, { caFile: '/nowhere' }, { keyFile: '/nowhere' }])
    await t.rejects(NatsLink.open({ ...options, ...files }, 'test'), { name: 'NatsError', message: /"\/nowhere"/ })
})

await t.test('on a NATS server', { skip: skipNats }, async (t) => {
  await t.test('a user needs the password', async (t) => {
    const server = await startNats(t, 'authorization { user: hub, password: secret }')
    const link = await NatsLink.open(server.options({ user: 'hub', password: 'secret' }), 'test')
    await link.close()
    await t.rejects(NatsLink.open(server.options({ timeout: 300 }), 'test'), { message: /Authorization/i })
    const wrong = NatsLink.open(server.options({ timeout: 300, user: 'hub', password: 'hunter2' }), 'test')
    await t.rejects(wrong, { name: 'NatsError', message: /^(?!.*hunter2)/ })
  })

  await t.test('an nkey authenticates', async (t) => {
    const pair = nkeys.createUser()
    const server = await startNats(t, `authorization { users: [ { nkey: ${pair.getPublicKey()} } ] }`)
    const link = await NatsLink.open(server.options({ nkey: Buffer.from(pair.getSeed()).toString() }), 'test')
    t.ok(link.isUp)
    await link.close()
  })

  await t.test('TLS verifies the server', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fanfare-tls-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const { cert, key } = selfSigned()
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    const server = await startNats(t, `tls { cert_file: "${certFile}", key_file: "${keyFile}" }`)
    const link = await NatsLink.open(server.options({ tls: true, caFile: certFile }), 'test')
    t.ok(link.isUp)
    await link.close()
    await t.rejects(NatsLink.open(server.options({ tls: true, timeout: 300 }), 'test'), { name: 'NatsError' })
  })

  await t.test('a connection without TLS is refused if it is required', async (t) => {
    const server = await startNats(t)
    await t.rejects(NatsLink.open(server.options({ tls: true, timeout: 300 }), 'test'), { name: 'NatsError' })
  })

  await t.test('the link reconnects, and reports both changes', async (t) => {
    const server = await startNats(t)
    const link = await NatsLink.open(server.options(), 'test')
    t.teardown(() => link.close())
    const told: boolean[] = []
    link.watch((isUp) => told.push(isUp))
    await server.kill()
    await poll(
      async () => (told.length === 1 ? true : undefined),
      () => 'the break is not reported',
    )
    t.notOk(link.isUp)
    await server.start()
    await poll(
      async () => (told.length === 2 ? true : undefined),
      () => 'the reconnect is not reported',
    )
    t.strictSame(told, [false, true])
    t.ok(link.isUp)
  })
})
