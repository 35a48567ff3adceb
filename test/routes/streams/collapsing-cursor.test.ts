import t from 'tap'
import { nextCursor } from '../../../src/routes/streams/collapsing-cursor.js'

/** The current cursor of the protocol: intervals of 20 s since 9 October 2024. */
function current(): number {
  return Math.floor((Date.now() - Date.UTC(2024, 9, 9)) / 20_000)
}

await t.test('a cursor is the number of the current interval', async (t) => {
  const before = current()
  const cursor = nextCursor(undefined)
  t.ok(cursor >= before && cursor <= current())
})

await t.test('a cursor is greater than that of the client', async (t) => {
  for (let n = 0; n < 200; n++) {
    const cursor = current() + n
    const next = nextCursor(String(cursor))
    t.ok(next > cursor && next <= cursor + 181, `${cursor} ${next}`)
  }
})

await t.test('an old or invalid cursor is ignored', async (t) => {
  for (const sent of ['0', '-5', 'abc', '', '1e9', '9'.repeat(30)]) {
    const before = current()
    const next = nextCursor(sent)
    t.ok(next >= before && next <= current(), sent)
  }
})
