import t from 'tap'
import { openHubs } from './open-hubs.js'

const TOPIC = 't'.repeat(60)

await t.test(
  'a page over several processes is limited by the length of its topics, and misses no stream',
  async (t) => {
    const { hubs } = await openHubs(t, 3)
    const ids: string[] = []
    const patterns = Array.from({ length: 100 }, (_, n) => `${TOPIC}.${n}.${TOPIC}`) // about 12 KB
    for (let n = 0; n < 60; n++) {
      const id = `c${String((n * 37) % 60).padStart(2, '0')}`
      // the first hub has most streams at the beginning of the list, so the pages of the others end later
      await hubs[n % 4 === 0 ? 1 : n % 7 === 0 ? 2 : 0]!.subscribe(patterns, { id })
      ids.push(id)
    }
    for (const { hub } of hubs) {
      const read: string[] = []
      for (let more = true; more;) {
        const page = await hub.neighbours.connections.list({ after: read.at(-1) ?? '', limit: 50 })
        t.ok(page.connections.length > 0 && page.connections.length < 25, `${page.connections.length} streams`)
        read.push(...page.connections.map(({ id }) => id))
        more = page.more
      }
      t.strictSame(read, ids.toSorted())
    }
  },
)
