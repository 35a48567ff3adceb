/** The checks of LMDB's data file. */
import { closeSync, openSync, readSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isSound } from '../../../src/log/lmdb/data-file.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { checkFolder, DATA_FILE } from '../../../src/log/lmdb/store-folder.js'
import { event } from '../../../src/log/contract/events.js'

/** The offsets of the layout's version in the first two pages of the file. */
const LAYOUT = 28
const PAGE_SIZE = 48

async function makeLog(t: Test): Promise<{ folder: string; file: string }> {
  const folder = t.testdir()
  const log = await FileLog.open({
    folder,
    durability: 'commit',
    retention: { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 },
  })
  await log.append([event('a')])
  await log.close()
  return { folder, file: join(folder, DATA_FILE) }
}

/** Writes another version of the layout to a file. */
function changeLayout(file: string, layout: number): void {
  const descriptor = openSync(file, 'r+')
  const size = Buffer.alloc(4)
  readSync(descriptor, size, 0, 4, PAGE_SIZE)
  for (const page of [0, size.readUInt32LE()]) writeSync(descriptor, Buffer.from([layout, 0]), 0, 2, page + LAYOUT)
  closeSync(descriptor)
}

await t.test('a file that lacks pages is not sound', async (t) => {
  const { folder, file } = await makeLog(t)
  t.equal(isSound(file), true)
  truncateSync(file, 3 * 4096)
  t.equal(isSound(file), false)
  t.throws(() => checkFolder(folder), /is no log, or is damaged/)
})

await t.test('a file of an unknown layout is refused before LMDB opens it', async (t) => {
  const { folder, file } = await makeLog(t)
  changeLayout(file, 3)
  t.throws(() => checkFolder(folder), /layout 3, and this version of Fanfare knows 2/)
  t.throws(() => checkFolder(folder, true), /layout 3/)
})
