import { cpSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { filesIn, hasFiles, replaced } from '../../../src/log/lmdb/folder-files.js'
import { DATA_FILE, LOCK_FILE } from '../../../src/log/lmdb/store-folder.js'

await t.test('a folder has its files until it is moved or replaced, whichever path leads to it', async (t) => {
  const root = t.testdir({ log: { [DATA_FILE]: 'data', [LOCK_FILE]: 'lock' } })
  const folder = `${root}/log`
  const files = filesIn(folder)!
  t.ok(hasFiles(folder, files))
  symlinkSync('log', `${root}/link`)
  t.ok(hasFiles(`${root}/link`, files), 'through a symbolic link')
  mkdirSync(`${root}/linked`)
  for (const name of [DATA_FILE, LOCK_FILE]) linkSync(`${folder}/${name}`, `${root}/linked/${name}`)
  t.ok(hasFiles(`${root}/linked`, files), 'a folder with links to the same files')
  renameSync(folder, `${root}/moved`)
  t.notOk(hasFiles(folder, files), 'moved')
  cpSync(`${root}/moved`, folder, { recursive: true })
  t.notOk(hasFiles(folder, files), 'a copy')
  rmSync(folder, { recursive: true })
  renameSync(`${root}/moved`, folder)
  t.ok(hasFiles(folder, files), 'put back')
  rmSync(`${folder}/${LOCK_FILE}`)
  writeFileSync(`${folder}/${LOCK_FILE}`, 'lock')
  t.notOk(hasFiles(folder, files), 'another lock file beside the same data')
})

await t.test('a folder without a data file has no files; a read-only one may have no lock file', async (t) => {
  const root = t.testdir({ empty: {}, unlocked: { [DATA_FILE]: 'data' } })
  t.equal(filesIn(`${root}/empty`), undefined)
  t.equal(filesIn(`${root}/missing`), undefined)
  const files = filesIn(`${root}/unlocked`)!
  t.equal(files[LOCK_FILE], '')
  t.ok(hasFiles(`${root}/unlocked`, files))
})

await t.test('the error tells publishers the reason without the path of the folder', async (t) => {
  const { message, reason } = replaced('/data/log')
  t.match(message, /\/data\/log was removed, moved or replaced/)
  t.notMatch(reason, '/data/log')
})
