/** No transaction uses more pages than were counted for it, even if no freed page can be reused. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import { Pages, type Work } from '../../../src/log/lmdb/pages.js'
import type { Durability } from '../../../src/log/durability.js'
import { event } from '../../../src/log/contract/events.js'
import { bareNode } from '../../helper/bare-node.js'
import { random } from '../../helper/random.js'

/** A busy machine needs more time than the default time-out. */
t.setTimeout(300_000)

interface Growth {
  work: Work
  counted: number
  grown: number
}

/** Records for each transaction the counted pages, and the growth of the file in pages. */
function watch(t: Test): Growth[] {
  const growths: Growth[] = []
  const used = Object.getOwnPropertyDescriptor(Pages.prototype, 'used')!.value as (this: Pages, work: Work) => void
  const before = new WeakMap<Pages, number>()
  Pages.prototype.used = function (work) {
    const counted = this.most(work)
    this.look()
    growths.push({ work, counted, grown: this.last - (before.get(this) ?? this.last) })
    before.set(this, this.last)
    used.call(this, work)
  }
  t.teardown(() => (Pages.prototype.used = used))
  return growths
}

/** Keeps a snapshot of the log open in another process, so that LMDB reuses no freed page. */
async function pin(t: Test, folder: string): Promise<void> {
  const script = `
    import { openForReading } from ${JSON.stringify(new URL('../../../dist/log/lmdb/store.js', import.meta.url).href)}
    const { root, meta } = openForReading(process.argv[1])
    meta.get('totals', { transaction: root.useReadTransaction() })
    console.log('pinned')
    setInterval(() => undefined, 1_000)`
  const child = spawn(...bareNode(['--input-type=module', '-e', script, folder]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  await once(child.stdout, 'data')
}

const LOADS: [
  what: string,
  load: { topics: number; size: (draw: () => number) => number; ids: boolean; events: number; retention: number },
][] = [
  ['small events of many topics', { topics: 3_000, size: () => 20, ids: false, events: 12_000, retention: 2 }],
  ['events with ids', { topics: 50, size: (draw) => 200 * draw(), ids: true, events: 10_000, retention: 20 }],
  [
    'events of all sizes',
    { topics: 10, size: (draw) => 20_000 * draw() ** 4, ids: true, events: 5_000, retention: 100 },
  ],
  ['topics that are added and emptied', { topics: 100_000, size: () => 20, ids: true, events: 6_000, retention: 1 }],
]

for (const durability of ['commit', 'sync'] as Durability[]) {
  for (const [what, { topics, size, ids, events, retention }] of LOADS) {
    await t.test(`${what} (${durability})`, async (t) => {
      const numbers = random(7)
      const draw = (): number => numbers.below(1e6) / 1e6
      const folder = t.testdir({})
      const growths = watch(t)
      const clock = { now: 1_700_000_000_000 }
      const log = await FileLog.open({
        folder,
        durability,
        retention: { events: retention, age: 20_000, bytes: 4e6, dedupWindow: 3_000 },
        now: () => clock.now,
      })
      t.teardown(() => log.close())
      await log.append([event('first')])
      await pin(t, folder)
      for (let n = 0; n < events;) {
        const count = 1 + Math.floor(draw() ** 3 * 800)
        clock.now += 10 * count
        const appended = log.append(
          Array.from({ length: count }, (_, m) =>
            event(`t.${Math.floor(draw() * topics)}`, {
              payload: 'x'.repeat(size(draw)),
              id: ids ? `${'i'.repeat(draw() * 90)}${n + m}` : undefined,
            }),
          ),
        )
        if (draw() < 0.05) await log.records.put(`record/${Math.floor(draw() * 50)}`, 'x'.repeat(draw() * 9_000))
        if (draw() < 0.05) await log.purge(`t.${Math.floor(draw() * topics)}`)
        await appended
        n += count
      }
      const grown = growths.filter((growth) => growth.grown > 0)
      t.ok(
        grown.length > 10,
        `${grown.length} of ${growths.length} transactions extend the file: no freed page is reused`,
      )
      t.strictSame(growths.filter(({ counted, grown }) => grown > counted).slice(0, 3), [])
      const worst = growths.reduce((most, { counted, grown }) => Math.max(most, grown / counted), 0)
      t.comment(`a transaction uses at most ${(100 * worst).toFixed()} % of the counted pages`)
    })
  }
}
