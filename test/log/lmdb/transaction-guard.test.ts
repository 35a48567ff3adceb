/** No transaction is lost, whatever number of the newest one other processes write into LMDB's lock file. */
import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { event } from '../../../src/log/contract/events.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { bareNode } from '../../helper/bare-node.js'
import { joinLeader } from '../../helper/bare-replica.js'
import { scanAll } from '../../helper/log.js'

const RETENTION = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }
/** Where LMDB's lock file has the number of the newest transaction, in bytes. */
const NUMBER = 8

/** The number of the newest transaction in the lock file of an open log. */
interface LockFile {
  number: bigint
}

async function open(t: Test, durability: 'sync' | 'commit'): Promise<{ log: FileLog; folder: string; lock: LockFile }> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-guard-')) // the path of a socket may have 107 bytes
  const log = await FileLog.open({ folder, durability, retention: RETENTION, shared: true })
  const descriptor = openSync(join(folder, 'lock.mdb'), 'r+')
  t.teardown(async () => {
    await log.close()
    closeSync(descriptor) // not earlier: this drops the locks of the process on the file
    rmSync(folder, { recursive: true })
  })
  const bytes = Buffer.alloc(8)
  const lock = {
    get number() {
      readSync(descriptor, bytes, 0, 8, NUMBER)
      return bytes.readBigUInt64LE()
    },
    set number(number) {
      bytes.writeBigUInt64LE(number)
      writeSync(descriptor, bytes, 0, 8, NUMBER)
    },
  }
  return { log, folder, lock }
}

/** Appends an event. Returns its data. */
async function append(log: FileLog, name: string): Promise<string> {
  await log.append([event('a', { payload: name })])
  return name
}

async function stored(log: FileLog): Promise<string[]> {
  return (await scanAll(log)).map(({ payload }) => payload)
}

for (const durability of ['sync', 'commit'] as const) {
  await t.test(`${durability}: a transaction follows the newest one`, async (t) => {
    const { log, lock } = await open(t, durability)
    const names = [await append(log, 'first'), await append(log, 'second'), await append(log, 'third')]
    for (const [name, by] of [
      ['one', 1n],
      ['two', 2n],
      ['three', 3n],
    ] as const) {
      const { number } = lock
      lock.number = number - by
      names.push(await append(log, `${name} too old`), await append(log, `after ${name}`))
      t.strictSame(await stored(log), names, `a number that is ${name} too old loses nothing`)
      t.equal(lock.number, number + 2n, 'each transaction has a number of its own')
    }
  })
}

await t.test('readers see the newest transaction', async (t) => {
  const { log, folder, lock } = await open(t, 'commit')
  const names = [await append(log, 'first'), await append(log, 'second')]

  await t.test('without a further request', async (t) => {
    lock.number--
    t.strictSame(await stored(log), names)
  })

  await t.test('once they have joined the leader', async (t) => {
    const { number } = lock
    lock.number--
    await joinLeader(t, folder)
    t.ok(lock.number >= number)
  })
})

await t.test('processes that open the folder during transactions', async (t) => {
  const { log, folder } = await open(t, 'commit')
  const script = `
    import { openForReading } from ${JSON.stringify(new URL('../../../dist/log/lmdb/store.js', import.meta.url).href)}
    await openForReading(process.argv[1]).close()`
  let count = 0
  const over = new AbortController()
  const appending = (async () => {
    while (!over.signal.aborted) await append(log, String(count++))
  })()
  const openAndClose = async () => {
    for (let n = 0; n < 5; n++) await promisify(execFile)(...bareNode(['--input-type=module', '-e', script, folder]))
  }
  await Promise.all([openAndClose(), openAndClose()])
  over.abort()
  await appending
  const names = await stored(log)
  t.equal(names.length, count, 'no event is lost')
  t.strictSame(names.filter((name, index) => name !== String(index)).slice(0, 3), [])
})
