import fc from 'fast-check'
import t from 'tap'
import { Selection } from '../../../src/model/selection.js'
import { EventOrder } from '../../../src/log/memory/event-order.js'
import { EventQueue } from '../../../src/log/memory/event-queue.js'
import { EventWalk, type Direction, type WalkedSpan } from '../../../src/log/memory/event-walk.js'
import { TopicTree } from '../../../src/log/topic-tree.js'
import { keptEvent } from '../../helper/kept-event.js'

/** A log whose n-th event, from 1, has the topic `topicOf(n)`. It counts the steps of finding topics. */
function logOf(count: number, topicOf: (n: number) => string) {
  const order = new EventOrder()
  const topics = new Map<string, { events: EventQueue }>()
  const tree = new TopicTree<{ events: EventQueue }>()
  for (let sequence = 1; sequence <= count; sequence++) {
    const topic = topicOf(sequence)
    if (!topics.has(topic)) {
      topics.set(topic, { events: new EventQueue() })
      tree.set(topic, topics.get(topic)!)
    }
    const event = keptEvent(sequence, topic)
    topics.get(topic)!.events.push(event)
    order.push(event)
  }
  const log = {
    order,
    steps: 0,
    *matching(selection: Selection): Generator<{ events: EventQueue } | undefined, undefined> {
      const found =
        selection.wildcards.length > 0
          ? tree.matching(selection.tree)
          : selection.topics.map((name) => topics.get(name))
      for (const topic of found) {
        log.steps++
        yield topic
      }
    },
    trim(topic: string) {
      order.delete(topics.get(topic)!.events.shift()!.sequence)
    },
  }
  return log
}

function sequencesOf(walk: EventWalk): number[] {
  return [...walk.events()].flatMap((event) => event?.sequence ?? [])
}

const cold = (n: number) => `cold.${n % 10}.${n}`

await t.test('a walk finds every event of the selection in order', async (t) => {
  const topicOf = (n: number) => (n % 7 === 0 ? `hot.${n % 4}` : n % 3000 === 1 ? `rare.${n}.x` : cold(n))
  const log = logOf(30_000, topicOf)
  for (let n = 0; n < 500; n++) log.trim('hot.1')
  const model = Array.from({ length: 30_000 }, (_, n) => n + 1).filter((n) => log.order.after(n - 1)?.sequence === n)
  const patterns = fc.constantFrom(
    '**',
    '*.*',
    'hot.*',
    'hot.1',
    'cold.3.*',
    'cold.*.*',
    '*.*.x',
    'rare.**',
    'nothing.**',
    'cold.5.15',
  )
  await t.resolves(
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(patterns, { minLength: 1, maxLength: 3 }),
        fc.nat(30_000),
        fc.nat(31_000),
        fc.constantFrom<Direction>('forwards', 'backwards'),
        async (wanted, after, until, direction) => {
          const selection = new Selection(wanted)
          const expected = model.filter((n) => n > after && n <= until && selection.hasTopic(topicOf(n)))
          t.strictSame(
            sequencesOf(new EventWalk(log, selection, direction, { after, until })),
            direction === 'forwards' ? expected : expected.reverse(),
          )
        },
      ),
      { numRuns: 60 },
    ),
  )
})

await t.test('the cost of a page of a wide pattern does not depend on the number of topics', async (t) => {
  const log = logOf(20_000, cold)
  const selection = new Selection(['cold.*.*'])
  const page = (span: WalkedSpan, direction: Direction) => {
    const walk = new EventWalk(log, selection, direction, span)
    const read: number[] = []
    for (const event of walk.events()) {
      if (event) read.push(event.sequence)
      if (read.length === 1_000) break
    }
    return { read, looked: walk.looked }
  }
  for (let after = 0; after < 20_000; after += 1_000) {
    const { read, looked } = page({ after, until: 20_000 }, 'forwards')
    t.strictSame([read[0], read.at(-1), looked], [after + 1, after + 1_000, 1_000])
  }
  t.strictSame(page({ after: 0, until: 20_000 }, 'backwards').read.at(-1), 19_001)
  t.ok(log.steps < 21 * 500, `${log.steps} steps for 21 pages`)
})

await t.test('a walk through few topics visits no events of others', async (t) => {
  const log = logOf(20_000, (n) => (n % 2_000 === 0 ? `few.${n}` : cold(n)))
  for (const patterns of [['few.*'], ['few.2000', 'few.4000']]) {
    const walk = new EventWalk(log, new Selection(patterns), 'forwards', { after: 0, until: 20_000 })
    t.equal(sequencesOf(walk).length, walk.looked)
  }
  const walk = new EventWalk(log, new Selection(['cold.7.*', '*.2000']), 'forwards', { after: 19_000, until: 20_000 })
  t.strictSame(sequencesOf(walk).length, 100)
})

await t.test('a walk skips events that are trimmed during it', async (t) => {
  for (const patterns of [['**'], ['a', 'b']]) {
    const log = logOf(3_000, (n) => (n % 2 === 0 ? 'a' : 'b'))
    const read: number[] = []
    for (const event of new EventWalk(log, new Selection(patterns), 'forwards', { after: 0, until: 3_000 }).events()) {
      if (event) read.push(event.sequence)
      if (read.length === 10) for (let n = 0; n < 1_000; n++) log.trim('a')
    }
    t.ok(
      read.length <= 3_000 - 990 && read.at(-1) === 3_000 && new Set(read).size === read.length,
      `${read.length} events were read`,
    )
  }
})
