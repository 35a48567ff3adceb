/** The fast paths beyond Node's public API: which are used, and the fallback if a self-test fails. */
import { spawnSync } from 'node:child_process'
import { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { detachFault } from '../../src/server/detach.js'
import { describeNative, nativeSockets, type NativePaths } from '../../src/server/native.js'
import { publish } from '../helper/http.js'
import { startHub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const ALL: NativePaths = { directWriter: true, detach: true, idleConnections: true, acceptBurst: true }
const NONE: NativePaths = { directWriter: false, detach: false, idleConnections: false, acceptBurst: false }
const fine = () => undefined
const SERVER = fileURLToPath(new URL('../../dist/server/', import.meta.url))

await t.test('this version of Node supports all fast paths', async (t) => {
  const sockets = nativeSockets('auto')
  t.strictSame(sockets, { paths: ALL, reasons: {} })
  t.strictSame(describeNative(sockets, true), [{ nativeSockets: ALL }, 'sockets: native'])
})

await t.test('with the setting off, no fast path is used', async (t) => {
  const sockets = nativeSockets('off')
  t.strictSame(sockets.paths, NONE)
  const [fields, message] = describeNative(sockets, true)
  t.match(fields, { nativeSockets: NONE, reasons: { detach: 'switched off', acceptBurst: 'switched off' } })
  t.equal(message, "sockets: by Node's public API")
})

await t.test('a fast path whose self-test fails is not used, and the log has the reason', async (t) => {
  const sockets = nativeSockets('auto', {
    directWriter: fine,
    detach: () => 'another Node',
    idleConnections: fine,
    acceptBurst: fine,
  })
  t.strictSame(sockets, { paths: { ...ALL, detach: false }, reasons: { detach: 'another Node' } })
  const paths = { directWriter: true, detach: false, idleConnections: true }
  t.strictSame(describeNative(sockets, false), [
    { nativeSockets: paths, reasons: { detach: 'another Node' } },
    "sockets: in part by Node's public API",
  ])
})

await t.test('a version of Node with another HTTP implementation is detected', async (t) => {
  const { prototype } = ServerResponse
  const original = Reflect.get(prototype, 'detachSocket') as unknown
  t.teardown(() => Object.assign(prototype, { detachSocket: original }))
  Object.assign(prototype, { detachSocket: undefined })
  t.match(detachFault(), /detachSocket/)
  Object.assign(prototype, { detachSocket: original })
  t.equal(detachFault(), undefined)
})

await t.test('a version of Node whose sockets do not write to their handles is detected', async (t) => {
  const look = `import { writeSync } from 'node:fs'
    import { Socket } from 'node:net'
    Socket.prototype._write = (chunk, encoding, done) => done()
    const { directWriterFault, writerTo } = await import('${SERVER}direct-writer.js')
    const isUsed = writerTo({ _handle: { writeBuffer: () => 0, writeQueueSize: 0 } }) !== undefined
    writeSync(1, directWriterFault() + ', used: ' + isUsed)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', look], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  })
  t.equal(stdout, 'a socket does not write to its handle, used: false', stderr)
})

for (const [setting, line] of [
  ['auto', 'sockets: native'],
  ['off', "sockets: by Node's public API"],
] as const) {
  await t.test(
    `FANFARE_NATIVE_SOCKETS=${setting}: one line of the log names the fast paths, and streams work`,
    async (t) => {
      const hub = await startHub(t, { FANFARE_NATIVE_SOCKETS: setting })
      const lines = hub.logs().filter(({ msg }) => typeof msg === 'string' && msg.startsWith('sockets: '))
      t.match(lines, [{ level: 30, msg: line, nativeSockets: setting === 'auto' ? ALL : NONE }])
      t.equal(lines.length, 1)
      const stream = await openLive(t, streamUrl(hub, ['news']), { token: anyTopic() })
      await publish(hub, 'news', { data: 1 }, anyTopic())
      await stream.count(1)
      t.equal(await hub.stop(), 0)
      t.strictSame(await stream.told('close'), { reason: 'drain' })
    },
  )
}
