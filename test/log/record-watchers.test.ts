import t from 'tap'
import { RecordWatchers } from '../../src/log/record-watchers.js'
import type { KeptRecord, RecordChange } from '../../src/log/log.js'

/** Records that a walk visits one by one; `between` runs before each. */
function store(records: Record<string, unknown>, between: (key: string) => void = () => undefined) {
  return async (prefix: string, visit: (record: KeptRecord) => void) => {
    for (const key of Object.keys(records)) {
      await Promise.resolve()
      between(key)
      if (key.startsWith(prefix) && key in records) visit({ key, value: records[key] })
    }
  }
}

function recorder() {
  const told: [string, unknown][] = []
  return { told, onChange: ({ key, value }: RecordChange) => void told.push([key, value]) }
}

await t.test('a watcher is given the records with its prefix, and then the changes until it stops', async (t) => {
  const watchers = new RecordWatchers()
  const { told, onChange } = recorder()
  const stop = await watchers.watch('a/', store({ 'a/1': 1, 'b/1': 2 }), onChange)
  watchers.changed([
    { key: 'a/1', value: undefined },
    { key: 'b/1', value: 3 },
    { key: 'a/2', value: 4 },
  ])
  stop()
  watchers.changed([{ key: 'a/2', value: 5 }])
  t.strictSame(told, [
    ['a/1', 1],
    ['a/1', undefined],
    ['a/2', 4],
  ])
})

await t.test('a change during the walk is given once, after the walk', async (t) => {
  const watchers = new RecordWatchers()
  const { told, onChange } = recorder()
  const records: Record<string, unknown> = { 'a/1': 1, 'a/2': 1, 'a/3': 1 }
  const change = (key: string, value: unknown) => {
    records[key] = value
    watchers.changed([{ key, value }])
  }
  const walk = store(records, (key) => {
    if (key !== 'a/2') return
    change('a/1', 2) // the walk has visited the old value
    change('a/2', 2) // the walk visits the new value
    change('a/3', 2)
  })
  await watchers.watch('a/', walk, onChange)
  t.strictSame(told, [
    ['a/1', 1],
    ['a/2', 2],
    ['a/3', 2],
    ['a/1', 2],
  ])
})

await t.test('a resync gives the records of now, and the deletions that were missed', async (t) => {
  const watchers = new RecordWatchers()
  const { told, onChange } = recorder()
  await watchers.watch('a/', store({ 'a/1': 1, 'a/2': 1 }), onChange)
  told.length = 0
  await watchers.resync(store({ 'a/2': 2, 'a/3': 3, 'b/1': 1 }))
  t.strictSame(told, [
    ['a/2', 2],
    ['a/3', 3],
    ['a/1', undefined],
  ])
  told.length = 0
  await watchers.resync(store({}))
  t.strictSame(
    told,
    [
      ['a/2', undefined],
      ['a/3', undefined],
    ],
    'a deletion is given once',
  )
})

await t.test('a watch whose walk fails has ended', async (t) => {
  const watchers = new RecordWatchers()
  const { told, onChange } = recorder()
  await t.rejects(
    watchers.watch('', () => Promise.reject(new Error('unreadable')), onChange),
    { message: 'unreadable' },
  )
  watchers.changed([{ key: 'a', value: 1 }])
  t.strictSame(told, [])
})
