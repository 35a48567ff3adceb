/** This version reads and continues stores of earlier versions. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import type { NewEvent, ScannedEvent, StoredEvent } from '../../../src/model/event.js'
import { payloadOf } from '../../../src/model/payload.js'
import { Selection } from '../../../src/model/selection.js'
import type { StoreContents } from '../../fixtures/make-store.js'
import { readFrom } from '../../helper/log.js'

const STORES = new URL('../../fixtures/stores/', import.meta.url)
const EVERYTHING = new Selection(['**'])

function unpack(file: string): Buffer {
  return gunzipSync(readFileSync(new URL(file, STORES)))
}

/** An event with the members that a log stores, in one order. */
function plain({ sequence, time, topic, type, id, attributes, kind, payload }: StoredEvent): StoredEvent {
  return { sequence, time, topic, type, id, attributes, kind, payload }
}

function fresh(topic: string, members: Partial<NewEvent> = {}): NewEvent {
  return { topic, type: undefined, id: undefined, attributes: undefined, kind: 'text', payload: 'new', ...members }
}

/** Opens a store one second after it was written. Damage fails the test. */
async function openStore(t: Test, folder: string, { time, retention }: StoreContents): Promise<FileLog> {
  const log = await FileLog.open({
    folder,
    durability: 'sync',
    retention,
    now: () => time + 1_000,
    onDamage: (what) => t.fail(what),
  })
  t.teardown(() => log.close())
  return log
}

/** Checks that a log has the events of the store, and those that were appended since. */
async function holds(t: Test, log: FileLog, contents: StoreContents, added: readonly StoredEvent[]): Promise<void> {
  const expected = [...contents.events, ...added].map(plain)
  t.equal(log.view.epoch, contents.epoch, 'cursors stay valid')
  t.equal(log.view.head, contents.head + added.length)
  const page = await readFrom(log, EVERYTHING, { after: 0, events: 10_000 })
  t.strictSame(page.events.map(plain), expected, 'every event')
  const scanned: StoredEvent[] = []
  await log.scan(EVERYTHING, { after: 0 }, (event: ScannedEvent) => {
    scanned.push(plain({ ...event, payload: payloadOf(event) }))
    return true
  })
  t.strictSame(scanned, expected, 'every event, scanned')
  for (const topic of new Set(expected.map((event) => event.topic))) {
    const { events } = await readFrom(log, new Selection([topic]), { after: 0, events: 10_000 })
    t.strictSame(
      events.map(plain),
      expected.filter((event) => event.topic === topic),
      `the events of ${topic}`,
    )
  }
  for (const [topic, trimmed] of Object.entries(contents.trimmed)) {
    const gapBehind = async (after: number) => (await readFrom(log, new Selection([topic]), { after, events: 1 })).gap
    t.strictSame(
      [await gapBehind(0), await gapBehind(trimmed - 1), await gapBehind(trimmed)],
      [true, true, false],
      topic,
    )
  }
  for (const { key, value } of contents.records) t.strictSame(await log.records.get(key), value, key)
  for (const [topic, properties] of Object.entries(contents.properties))
    t.strictSame(await log.records.get(`topic/${topic}`), properties, topic)
}

/** Checks that the log remembers publisher ids, also those of removed events. */
async function remembers(t: Test, log: FileLog, { events, orphans }: StoreContents): Promise<void> {
  const known = [...events.filter(({ id }) => id !== undefined), ...orphans]
  const appended = await log.append(known.map(({ topic, id }) => fresh(topic, { id })))
  t.strictSame(
    appended,
    known.map(({ sequence }) => ({ sequence, duplicate: true })),
  )
}

const names = readdirSync(STORES)
  .filter((file) => file.endsWith('.mdb.gz'))
  .map((file) => file.slice(0, -'.mdb.gz'.length))
t.ok(names.includes('format-2'))

for (const name of names) {
  await t.test(name, async (t) => {
    const contents = JSON.parse(unpack(`${name}.json.gz`).toString()) as StoreContents
    t.ok(contents.events.length > 30 && contents.orphans.length > 5 && contents.records.length > 0)
    const folder = t.testdir({})
    writeFileSync(`${folder}/data.mdb`, unpack(`${name}.mdb.gz`))
    const log = await openStore(t, folder, contents)
    await holds(t, log, contents, [])
    await remembers(t, log, contents)

    const events = [
      fresh('orders.42', { attributes: '{"a":"x"}', id: 'new' }),
      fresh('purged', { kind: 'bytes', payload: 'AP8=' }),
      fresh('new', { kind: 'json', payload: '{"a":1}' }),
    ]
    t.strictSame(
      await log.append(events),
      events.map((_, index) => ({ sequence: contents.head + 1 + index, duplicate: false })),
    )
    await log.records.put('topic/quiet', { ended: true })
    const properties = { ...contents.properties, quiet: { ended: true } }
    const added = events.map((event, index) => ({
      ...event,
      sequence: contents.head + 1 + index,
      time: contents.time + 1_000,
    }))
    await holds(t, log, { ...contents, properties }, added)
    await log.close()

    const again = await openStore(t, folder, contents)
    await holds(t, again, { ...contents, properties }, added)
    await remembers(t, again, contents)
    for (const topic of ['trimmed', 'orders.42']) await again.purge(topic)
    const left = [...contents.events, ...added].filter(({ topic }) => topic !== 'trimmed' && topic !== 'orders.42')
    t.equal(again.view.stats().events, left.length, 'the log still trims')
  })
}
