/** A finite topic whose writer is killed with its hub. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { FolderCluster } from '../../../src/cluster/folder.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { poll } from '../../helper/deadline.js'
import { openHubOn } from '../open-hub.js'

const WRITER = fileURLToPath(new URL('../../helper/finite-writer.ts', import.meta.url))
const RETENTION = { events: 3, age: 1e12, bytes: 1e9, dedupWindow: 60_000 }

await t.test('acknowledged appends are kept, a repetition is stored once, and the lease ends the topic', async (t) => {
  const folder = t.testdir({})
  const writer = spawn(process.execPath, ['--import=tsx', WRITER, folder, 'a'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => writer.kill('SIGKILL'))
  const exited = new Promise((resolve) => writer.once('exit', resolve))
  let acknowledged = -1
  for await (const line of createInterface(writer.stdout)) {
    acknowledged = Number(line)
    if (acknowledged === 30) break
  }
  const log = await FileLog.open({ folder, durability: 'sync', retention: RETENTION, shared: true })
  const { hub } = await openHubOn(t, log, { cluster: new FolderCluster(log.peers) })
  const { finite } = hub
  writer.kill('SIGKILL')
  await exited
  const read = async () => (await finite.read('a', 0, Infinity)).messages.map(({ payload }) => payload).join('')
  const { producer } = await finite.append('a', {
    messages: [{ kind: 'text', payload: `${acknowledged};` }],
    producer: { id: 'p', epoch: 0, seq: acknowledged },
  })
  const last = producer!.seq
  t.ok(last >= acknowledged)
  const next = {
    messages: [{ kind: 'text' as const, payload: `${last + 1};` }],
    producer: { id: 'p', epoch: 0, seq: last + 1 },
  }
  t.match(await Promise.all([finite.append('a', next), finite.append('a', next)]), [
    { duplicate: false },
    { duplicate: true },
  ])
  t.equal(await read(), Array.from({ length: last + 2 }, (_, seq) => `${seq};`).join(''))
  await poll(
    async () => ((await finite.get('a'))?.status === 'error' ? true : undefined),
    () => 'the lease does not end',
  )
  t.equal(await read(), Array.from({ length: last + 2 }, (_, seq) => `${seq};`).join(''))
})
