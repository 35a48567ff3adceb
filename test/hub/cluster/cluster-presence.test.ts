import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { PresenceChange } from '../../../src/hub/presence.js'
import { poll } from '../../helper/deadline.js'
import { random } from '../../helper/random.js'
import { settle, until, type FakeSink } from '../fake-sink.js'
import { openHubs, type ClusterHub } from './open-hubs.js'

const GRACE = 400

/** Returns the joins and leaves that a stream has received. */
function told({ blocks }: FakeSink): string[] {
  return blocks.flatMap(({ event }) => {
    if (event?.type !== 'fanfare.join' && event?.type !== 'fanfare.leave') return []
    const { topic, subject, subjects } = JSON.parse(event.data) as PresenceChange
    return [`${event.type.slice('fanfare.'.length)} ${topic} ${subject} ${subjects}`]
  })
}

async function present({ hub }: ClusterHub, topic = 'room'): Promise<string[]> {
  return (await hub.present(topic)).map(({ subject, connections }) => `${subject} ${connections}`).sort()
}

/** Waits until a process knows these subjects, and no others. */
async function hasPresent(hub: ClusterHub, subjects: readonly string[]): Promise<void> {
  let now: string[] = []
  await poll(
    async () => ((now = await present(hub)).join() === subjects.join() ? true : undefined),
    () => `${now.join()} are present, and not ${subjects.join()}`,
  )
}

/** Opens three hubs, and a stream with presence at each of the first two. */
async function openWatched(t: Test, options: Parameters<typeof openHubs>[2] = {}) {
  const { hubs, start } = await openHubs(t, 3, { presenceGrace: GRACE, ...options })
  const [a, b, c] = hubs as [ClusterHub, ClusterHub, ClusterHub]
  const watchers = [
    await a.subscribe(['room'], { presence: true }),
    await b.subscribe(['room'], { presence: true }),
  ] as const
  const all = (events: string[]) => watchers.every((watcher) => told(watcher).length >= events.length)
  const expect = async (events: string[]): Promise<void> => {
    await until(
      () => all(events),
      () => JSON.stringify(watchers.map(told)),
    )
    for (const watcher of watchers) t.strictSame(told(watcher), events)
  }
  return { a, b, c, start, watchers, expect }
}

await t.test('a subject with streams in several processes joins once and leaves once', async (t) => {
  const { a, b, c, expect } = await openWatched(t)
  const streams = [
    await c.subscribe(['room'], { subject: 'ann', info: 'Ann' }),
    await a.subscribe(['room'], { subject: 'ann' }),
    await b.subscribe(['room'], { subject: 'ann' }),
  ]
  await c.subscribe(['room'], { subject: 'bob' })
  const joins = ['join room ann 1', 'join room bob 2']
  await expect(joins)
  for (const stream of streams) {
    await delay(GRACE + 300) // the grace has passed: a leave would have been sent
    await expect(joins)
    stream.close()
  }
  t.strictSame(await present(b), ['ann 0', 'bob 1'], 'the grace runs')
  await expect([...joins, 'leave room ann 1'])
  for (const hub of [a, b, c]) t.strictSame(await present(hub), ['bob 1'])
})

await t.test('a reconnect to another process within the grace is not a leave', async (t) => {
  const { a, b, c, expect } = await openWatched(t)
  let stream = await c.subscribe(['room'], { subject: 'ann' })
  await expect(['join room ann 1'])
  for (const hub of [a, b, c, a]) {
    stream.close()
    await settle()
    stream = await hub.subscribe(['room'], { subject: 'ann' })
  }
  await delay(GRACE + 300) // the grace has passed: a leave would have been sent
  await expect(['join room ann 1'])
  t.strictSame(await present(c), ['ann 1'])
})

await t.test('a subject that joins in several processes at once is one join for each stream', async (t) => {
  const { a, b, c, expect } = await openWatched(t, { seed: 1 })
  await Promise.all([a, b, c].map(({ subscribe }) => subscribe(['room'], { subject: 'ann' })))
  await settle(50)
  await expect(['join room ann 1'])
})

await t.test('the subjects of a killed process leave after the grace', async (t) => {
  const { a, b, c, expect } = await openWatched(t)
  await c.subscribe(['room'], { subject: 'ann', info: 'Ann' })
  await c.subscribe(['room'], { subject: 'bob' })
  await c.subscribe(['room'], { subject: 'cid' })
  const joins = ['join room ann 1', 'join room bob 2', 'join room cid 3']
  await expect(joins)
  await b.subscribe(['room'], { subject: 'cid' })
  c.node.die()
  await hasPresent(a, ['ann 0', 'bob 0', 'cid 1']) // the grace runs
  await expect(joins)
  await a.subscribe(['room'], { subject: 'bob' })
  await expect([...joins, 'leave room ann 2'])
  t.strictSame(await present(b), ['bob 1', 'cid 1'])
})

await t.test('an absence of a process that is shorter than the grace causes no leave', async (t) => {
  const { a, c, expect } = await openWatched(t, { presenceGrace: 1_500 })
  await c.subscribe(['room'], { subject: 'ann' })
  await expect(['join room ann 1'])
  c.node.vanish()
  await hasPresent(a, ['ann 0'])
  await c.subscribe(['room'], { subject: 'bob' })
  c.node.reappear()
  await expect(['join room ann 1', 'join room bob 2'])
  await delay(1_700) // the grace has passed: a leave would have been sent
  await expect(['join room ann 1', 'join room bob 2'])
  t.strictSame(await present(a), ['ann 1', 'bob 1'])
})

await t.test('a longer absence of a process is a leave, and then a join', async (t) => {
  const { c, expect } = await openWatched(t)
  await c.subscribe(['room'], { subject: 'ann' })
  await expect(['join room ann 1'])
  c.node.vanish()
  await expect(['join room ann 1', 'leave room ann 0'])
  c.node.reappear()
  await expect(['join room ann 1', 'leave room ann 0', 'join room ann 1'])
})

await t.test('lost changes are fetched', async (t) => {
  const { a, b, c, watchers } = await openWatched(t, { presenceGrace: 0 })
  const first = await c.subscribe(['room'], { subject: 'ann' })
  await until(() => watchers.every((watcher) => told(watcher).length === 1))
  b.node.freeze()
  first.close()
  await c.subscribe(['room'], { subject: 'bob' })
  await until(() => told(watchers[0]).length === 3)
  b.node.thaw()
  await until(() => told(watchers[1]).length === 3) // the node broadcasts the number of its changes every 2 s
  t.strictSame(told(watchers[0]), ['join room ann 1', 'leave room ann 0', 'join room bob 1'])
  t.strictSame(
    told(watchers[1])
      .slice(1)
      .map((event) => event.slice(0, -2))
      .sort(),
    ['join room bob', 'leave room ann'],
  )
  b.node.freeze()
  await c.subscribe(['room'], { subject: 'cid' })
  await settle()
  b.node.thaw()
  await c.subscribe(['room'], { subject: 'dan' }) // reveals at once that a change is missing
  await settle()
  t.strictSame(told(watchers[1]).slice(3), ['join room cid 2', 'join room dan 3'])
  t.strictSame(await present(a), ['bob 1', 'cid 1', 'dan 1'])
})

await t.test('a stream gets no joins of subjects that were present before it opened', async (t) => {
  const { hubs, start } = await openHubs(t, 2, { presenceGrace: GRACE })
  const [a, b] = hubs as [ClusterHub, ClusterHub]
  for (let n = 0; n < 1_200; n++) await a.subscribe([`room.${n % 7}`], { subject: `u${n}` }) // several pages
  await a.subscribe(['room'], { subject: 'ann' })
  const watcher = await b.subscribe(['room', 'room.1'], { presence: true })
  const late = await (await start()).subscribe(['room'], { presence: true })
  await b.subscribe(['room'], { subject: 'ann' })
  await b.subscribe(['room.1'], { subject: 'u1' })
  await a.subscribe(['room'], { subject: 'bob' })
  await until(() => told(watcher).length > 0 && told(late).length > 0)
  await settle()
  t.strictSame(told(watcher), ['join room bob 2'])
  t.strictSame(told(late), ['join room bob 2'])
})

await t.test('the subjects of a process that answers only after a stream has opened have joined for it', async (t) => {
  const { hubs } = await openHubs(t, 2, { presenceGrace: 0 })
  const [a, b] = hubs as [ClusterHub, ClusterHub]
  const stream = await b.subscribe(['room'], { subject: 'ann' })
  b.node.freeze()
  const watcher = await a.subscribe(['room'], { presence: true }) // waits for the other process for a second
  t.strictSame(told(watcher), [])
  b.node.thaw()
  await until(() => told(watcher).length === 1) // the node broadcasts the number of its changes every 2 s
  stream.close()
  await until(() => told(watcher).length === 2)
  t.strictSame(told(watcher), ['join room ann 1', 'leave room ann 0'])
})

await t.test('joins at a process that has just started are announced', async (t) => {
  const { start, expect } = await openWatched(t)
  const { subscribe } = await start()
  await subscribe(['room'], { subject: 'ann' })
  await expect(['join room ann 1'])
})

await t.test('nothing is broadcast while no stream has presence', async (t) => {
  const { hubs } = await openHubs(t, 2)
  const [a, b] = hubs as [ClusterHub, ClusterHub]
  const kinds: string[] = []
  const broadcast = a.node.broadcast.bind(a.node)
  a.node.broadcast = (message) => {
    kinds.push(message.kind)
    broadcast(message)
  }
  const changes = () => kinds.filter((kind) => kind !== 'state')
  await a.subscribe(['room'], { subject: 'ann' })
  await settle()
  t.strictSame(changes(), [])
  await b.subscribe(['room'], { presence: true })
  await a.subscribe(['room'], { subject: 'bob' })
  await settle()
  t.strictSame(changes(), ['presence-changes'])
})

await t.test(
  'the streams of all processes agree after any joins, leaves and lost messages, and the end of a process',
  async (t) => {
    for (const seed of [1, 2, 3]) {
      const { hubs } = await openHubs(t, 3, { seed })
      const watchers = await Promise.all(hubs.map(({ subscribe }) => subscribe(['**'], { presence: true })))
      const chance = random(seed)
      const streams: FakeSink[] = []
      const topics: string[][] = []
      const subjects: string[] = []
      const homes: number[] = []
      const returns: Promise<void>[] = []
      for (let n = 0; n < 300; n++) {
        if (streams.length > 0 && chance.below(5) < 2) {
          const index = chance.below(streams.length)
          streams[index]!.close()
          for (const list of [streams, topics, subjects, homes]) list.splice(index, 1)
        } else {
          const own = chance.pick([['a'], ['b'], ['a', 'b']])
          const subject = `u${chance.below(6)}`
          const home = chance.below(hubs.length)
          streams.push(await hubs[home]!.subscribe(own, { subject }))
          homes.push(home)
          topics.push(own)
          subjects.push(subject)
        }
        if (chance.below(3) === 0) await settle(chance.below(4))
        const { node } = chance.pick(hubs)
        if (chance.below(40) === 0) {
          node.freeze()
          returns.push(delay(20).then(() => node.thaw()))
        } else if (chance.below(60) === 0) {
          node.vanish()
          returns.push(delay(400).then(() => node.reappear()))
          await delay(chance.below(300))
        }
      }
      await Promise.all(returns)
      await until(() => watchers.every((watcher) => isExpected(watcher)))
      await check()
      hubs[2]!.node.die()
      for (let index = streams.length - 1; index >= 0; index--)
        if (homes[index] === 2) for (const list of [streams, topics, subjects, homes]) list.splice(index, 1)
      await until(() => watchers.slice(0, 2).every((watcher) => isExpected(watcher)))
      await check(2)

      function expected(): string[] {
        const all = topics.flatMap((own, index) => own.map((topic) => `${topic} ${subjects[index]!}`))
        return [...new Set(all)].sort()
      }
      function isExpected(watcher: FakeSink): boolean {
        return JSON.stringify([...replay(watcher)].sort()) === JSON.stringify(expected())
      }
      function replay(watcher: FakeSink): Set<string> {
        const here = new Set<string>()
        for (const event of told(watcher)) {
          const [type, topic, subject, count] = event.split(' ') as [string, string, string, string]
          const key = `${topic} ${subject}`
          if (here.has(key) === (type === 'join')) t.fail(`seed ${seed}: ${event} twice`)
          if (type === 'join') here.add(key)
          else here.delete(key)
          const now = [...here].filter((one) => one.startsWith(`${topic} `)).length
          if (now !== Number(count)) t.fail(`seed ${seed}: ${event}, and there are ${now}`)
        }
        return here
      }
      async function check(count = 3): Promise<void> {
        for (const watcher of watchers.slice(0, count))
          t.strictSame([...replay(watcher)].sort(), expected(), `seed ${seed}`)
      }
    }
  },
)
