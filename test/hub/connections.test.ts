import t from 'tap'
import type { LiveRead } from '../../src/hub/connections.js'
import { Selection } from '../../src/model/selection.js'
import { anybody } from './anybody.js'
import { openHub } from './open-hub.js'

await t.test('streams are listed in pages, sorted by id', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const ids = Array.from({ length: 50 }, (_, n) => `c${(n * 37) % 50}`)
  for (const id of ids) await subscribe([id.endsWith('7') ? 'seven' : 'other'], { id })
  const list = async (after: string, limit: number, topic?: string) => {
    const { streams, more } = await hub.connections.page(
      after,
      limit,
      ({ selection }) => topic === undefined || selection.hasTopic(topic),
    )
    return { ids: streams.map(({ info }) => info.id), more }
  }
  const sorted = ids.toSorted()
  t.strictSame(await list('', 50), { ids: sorted, more: false })
  t.strictSame(await list('', 49), { ids: sorted.slice(0, 49), more: true })
  t.strictSame(await list('c3', 5), { ids: sorted.filter((id) => id > 'c3').slice(0, 5), more: true })
  t.strictSame(await list('', 9, 'seven'), { ids: sorted.filter((id) => id.endsWith('7')), more: false })
  t.strictSame(await list('zzz', 5), { ids: [], more: false })
})

await t.test('listing or ending many streams lets the event loop run', async (t) => {
  const { hub, subscribe } = await openHub(t)
  for (let n = 0; n < 20; n++) await subscribe(['a'])
  let turns = 0
  let immediate = setImmediate(function turn() {
    turns++
    immediate = setImmediate(turn)
  })
  const slowly = () => {
    for (const end = performance.now() + 1; performance.now() < end;);
    return true
  }
  await hub.connections.page('', 10, slowly)
  t.ok(turns >= 5, `${turns} turns`)
  turns = 0
  t.equal(await hub.connections.end('revoked', slowly), 20)
  clearImmediate(immediate)
  t.ok(turns >= 5, `${turns} turns until all streams have ended`)
  t.equal(hub.connections.size, 0)
})

const liveRead = (info: Partial<LiveRead['info']>, end: (reason: string) => void): LiveRead => ({
  info: { id: 'r', address: undefined, principal: anybody, ...info },
  selection: new Selection(['a']),
  state: 'live',
  since: 0,
  sentEvents: 0,
  sentBytes: 0,
  lag: () => 0,
  end,
})

await t.test('live reads are listed, counted and ended like streams', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const { connections } = hub
  await subscribe(['a'])
  const principal = { ...anybody, subject: 'u1' }
  const ended: string[] = []
  const open = (name: string) => {
    const read = liveRead({ id: name, address: '10.0.0.1', principal }, (reason) => {
      ended.push(`${name} ${reason}`)
      connections.deleteRead(read, 'ended')
    })
    connections.addRead(read)
    return read
  }
  const [first] = [open('first'), open('second')]
  t.equal(connections.size, 3)
  t.equal(connections.ofSubject('u1'), 2)
  t.equal(connections.fromAddress('10.0.0.1'), 2)
  const ids = ({ streams }: { streams: { info: { id: string } }[] }) => streams.map(({ info }) => info.id)
  t.strictSame(ids(await connections.page('', 10, () => true)), ['c1', 'first', 'second'])
  t.strictSame(ids(await connections.page('c1', 1, () => true)), ['first'])
  t.strictSame(
    ids(
      await connections.first(
        3,
        ({ info }) => info.id.length,
        ({ info }) => info.id !== 'c1',
      ),
    ),
    ['second', 'first'],
  )
  t.equal(connections.get('first'), first)
  t.equal(connections.stream('first'), undefined)
  connections.deleteRead(first, 'gone')
  connections.deleteRead(first, 'gone')
  t.equal(connections.size, 2, 'a read is deleted once')
  t.equal(await connections.end('revoked', ({ info }) => info.principal === principal), 1)
  open('third')
  connections.endFirst(connections.size, 'drain')
  t.strictSame(ended, ['second revoked', 'third drain'])
  t.equal(connections.size, 0)
})

await t.test('a live read ends with its token', async (t) => {
  const { hub } = await openHub(t)
  const { connections } = hub
  const reasons: string[] = []
  await new Promise<void>((resolve) => {
    const alive = setInterval(() => undefined, 1_000)
    const read = liveRead({ principal: { ...anybody, expiresAt: Date.now() + 100 } }, (reason) => {
      clearInterval(alive)
      reasons.push(reason)
      connections.deleteRead(read, 'ended')
      resolve()
    })
    connections.addRead(read)
  })
  t.strictSame(reasons, ['expired'])
})
