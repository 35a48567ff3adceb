import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Work } from '../../../src/log/lmdb/pages.js'
import { Room } from '../../../src/log/lmdb/room.js'
import { openStore } from '../../../src/log/lmdb/store.js'
import { DATA_FILE } from '../../../src/log/lmdb/store-folder.js'

/** More than `Room` writes at once, in bytes. */
const PART = 256 * 1024

await t.test('a process that wakes does not overwrite the pages of another one that has taken the file', async (t) => {
  const folder = t.testdir({})
  const tables = openStore(folder, 'commit')
  const room = new Room(folder, tables)
  const other = openSync(`${folder}/${DATA_FILE}`, 'r+')
  t.teardown(async () => {
    closeSync(other)
    await room.close()
    await tables.close()
  })
  const begun = fstatSync(other).size
  const work = new Work()
  work.ownPages = 5_000
  const making = room.make(work, 'publish')
  while (fstatSync(other).size === begun) await setImmediate()
  const { size } = fstatSync(other) // the room is in the middle of its work
  writeSync(other, Buffer.alloc(8 * PART, 1), 0, 8 * PART, size)
  t.equal(await making, false)
  t.equal(room.failure.reason, 'another process writes the file of the log')
  const written = Buffer.alloc(7 * PART)
  readSync(other, written, 0, written.length, size + PART)
  t.ok(written.equals(Buffer.alloc(7 * PART, 1)), 'the pages of the other process are intact')
})
