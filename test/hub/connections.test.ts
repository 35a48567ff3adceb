import t from 'tap'
import { openHub } from './open-hub.js'

await t.test('streams are listed in pages, sorted by id', async (t) => {
  const { hub, subscribe } = await openHub(t)
  const ids = Array.from({ length: 50 }, (_, n) => `c${(n * 37) % 50}`)
  for (const id of ids) await subscribe([id.endsWith('7') ? 'seven' : 'other'], { id })
  const list = async (after: string, limit: number, topic?: string) => {
    const { streams, more } = await hub.connections.page(
      after,
      limit,
      ({ feed: { selection } }) => topic === undefined || selection.hasTopic(topic),
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
