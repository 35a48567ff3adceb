/**
 * Presence by subject, with joins and leaves. It is exact even if a thousand subscribers connect, reload and vanish at
 * random.
 */
import t from 'tap'
import { poll } from '../helper/deadline.js'
import { request } from '../helper/http.js'
import { checkProblem } from '../helper/problem.js'
import { startHub, type Hub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { openLive, streamUrl, type EventStream } from '../helper/stream.js'
import { token } from '../helper/token.js'

const watcher = token({ sub: 'watcher', subscribe: ['**'], presence: ['**'] })

interface Present {
  topic: string
  subjects: { subject: string; connections: number; since: string; info: unknown }[]
}

async function present(hub: Hub, topic: string): Promise<Present> {
  return (
    await request<Present>(`${hub.url}/topics/${topic}/presence`, { headers: { authorization: `Bearer ${watcher}` } })
  ).body
}

/** Returns the joins and leaves that a stream has received. */
function told({
  all,
}: EventStream): { type: string; data: { topic: string; subject: string; info: unknown; subjects: number } }[] {
  return all.flatMap(({ type, data }) =>
    type === 'fanfare.join' || type === 'fanfare.leave'
      ? [{ type: type.slice(8), data: JSON.parse(data) as never }]
      : [],
  )
}

function member(subject: string, info?: unknown): string {
  return token({ sub: subject, subscribe: ['room.**'], info })
}

await t.test('a subject joins once, and leaves when the grace after its last stream has passed', async (t) => {
  const hub = await startHub(t, { FANFARE_PRESENCE_GRACE: '600ms' })
  const watch = await openLive(t, streamUrl(hub, ['room.*'], { presence: 'true' }), { token: watcher })
  const plain = await openLive(t, streamUrl(hub, ['room.*']), { token: watcher })
  const before = Date.now()
  const first = await openLive(t, streamUrl(hub, ['room.1']), { token: member('ann', { name: 'Ann' }) })
  const second = await openLive(t, streamUrl(hub, ['room.1']), { token: member('ann', { name: 'Ann' }) })
  const other = await openLive(t, streamUrl(hub, ['room.1']), { token: member('bob') })
  await watch.until(() => told(watch).length === 2)
  t.strictSame(told(watch), [
    { type: 'join', data: { topic: 'room.1', subject: 'ann', info: { name: 'Ann' }, subjects: 1 } },
    { type: 'join', data: { topic: 'room.1', subject: 'bob', info: null, subjects: 2 } },
  ])
  const join = watch.all.find(({ type }) => type === 'fanfare.join')!
  t.match(join, { id: undefined, topic: 'room.1' }, 'joins are ephemeral, and have their topic as on any pattern')
  const { topic, subjects } = await present(hub, 'room.1')
  t.equal(topic, 'room.1')
  t.match(subjects, [
    { subject: 'ann', connections: 2, info: { name: 'Ann' } },
    { subject: 'bob', connections: 1, info: null },
  ])
  t.ok(Date.parse(subjects[0]!.since) >= before - 5)
  t.strictSame(await present(hub, 'room.2'), { topic: 'room.2', subjects: [] })

  first.destroy()
  second.reset()
  await poll(
    async () => ((await present(hub, 'room.1')).subjects[0]!.connections === 0 ? true : undefined),
    () => 'the streams are still open',
  )
  const reloaded = await openLive(t, streamUrl(hub, ['room.1']), { token: member('ann', { name: 'Ann' }) })
  other.destroy()
  await watch.until(() => told(watch).length === 3)
  t.strictSame(
    told(watch)[2],
    { type: 'leave', data: { topic: 'room.1', subject: 'bob', info: null, subjects: 1 } },
    'a reload is not a leave',
  )
  t.match((await present(hub, 'room.1')).subjects, [{ subject: 'ann', connections: 1 }])
  reloaded.destroy()
  await watch.until(() => told(watch).length === 4)
  t.match(told(watch)[3], { type: 'leave', data: { subject: 'ann', subjects: 0 } })
  t.strictSame(told(plain), [], 'a stream without presence=true gets none')
})

await t.test('a stream with presence needs a presence grant that covers all its patterns', async (t) => {
  const hub = await startHub(t)
  const bearer = token({ sub: 'ann', subscribe: ['**'], presence: ['room.1', 'hall.*'] })
  const headers = { authorization: `Bearer ${bearer}`, accept: 'text/event-stream' }
  for (const topics of [['room.*'], ['room.1', 'room.2'], ['**'], ['hall.**']]) {
    t.equal(
      checkProblem(t, await request(streamUrl(hub, topics, { presence: 'true' }), { headers }), 403, topics.join())
        .code,
      'not-granted',
    )
  }
  await openLive(t, streamUrl(hub, ['room.1', 'hall.*'], { presence: 'true' }), { token: bearer })
  t.equal(
    checkProblem(t, await request(streamUrl(hub, ['room.1'], { presence: 'yes' }), { headers }), 400, 'yes').code,
    'invalid-request',
  )
  const get = (topic: string, authorization?: string) =>
    request(`${hub.url}/topics/${topic}/presence`, {
      headers: authorization === undefined ? {} : { authorization: `Bearer ${authorization}` },
    })
  t.equal((await get('room.1', bearer)).status, 200)
  t.equal(checkProblem(t, await get('room.2', bearer), 403, 'another topic').code, 'not-granted')
  t.equal(checkProblem(t, await get('room.1'), 401, 'no token').code, 'missing-token')
  t.equal(checkProblem(t, await get('room.*', watcher), 400, 'a pattern').code, 'invalid-topic')
})

await t.test('a move of a stream is a leave and a join, and reports presence on the new topics', async (t) => {
  const hub = await startHub(t, { FANFARE_PRESENCE_GRACE: '0ms' })
  const bearer = token({ sub: 'ann', subscribe: ['room.*'], presence: ['room.*'] })
  const stream = await openLive(t, streamUrl(hub, ['room.1'], { presence: 'true' }), { token: bearer })
  const patch = (body: object) =>
    request(`${hub.url}/connections/${String(stream.headers['fanfare-connection'])}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  await stream.until(() => told(stream).length === 1)
  t.equal((await patch({ subscribe: ['room.2'], unsubscribe: ['room.1'] })).status, 200)
  await openLive(t, streamUrl(hub, ['room.1', 'room.2']), { token: member('bob') })
  await stream.until(() => told(stream).some(({ data }) => data.subject === 'bob'))
  t.match(
    told(stream).map(({ type, data: { topic, subject } }) => `${type} ${topic} ${subject}`),
    ['join room.1 ann', 'join room.2 ann', 'join room.2 bob'],
  )
  t.match((await present(hub, 'room.1')).subjects, [{ subject: 'bob' }])
})

await t.test('a thousand subjects connect, reconnect and disconnect at random', async (t) => {
  const SUBJECTS = 1_000
  const hub = await startHub(t, { FANFARE_PRESENCE_GRACE: '1s', FANFARE_MAX_CONNECTIONS: '5000' })
  const watch = await openLive(t, streamUrl(hub, ['room.all'], { presence: 'true' }), {
    token: token({ subscribe: ['**'], presence: ['**'] }),
  })
  const draw = random(12)
  const streams = new Map<string, EventStream[]>()
  async function come(subject: string): Promise<void> {
    const stream = await openLive(t, streamUrl(hub, ['room.all']), { token: member(subject) })
    streams.set(subject, [...(streams.get(subject) ?? []), stream])
  }
  async function live(n: number): Promise<void> {
    const subject = `s${n}`
    await come(subject)
    for (let step = 0; step < 2; step++) {
      const chance = draw.below(100) / 100
      if (chance < 0.3) await come(subject)
      else if (chance < 0.7) {
        const [gone, ...rest] = streams.get(subject)!
        streams.set(subject, rest)
        if (chance < 0.5) gone?.destroy()
        else gone?.reset()
        if (chance < 0.6) await come(subject) // a reload
      }
    }
  }
  const queue = Array.from({ length: SUBJECTS }, (_, n) => n)
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let n = queue.pop(); n !== undefined; n = queue.pop()) await live(n)
    }),
  )
  const here = [...streams]
    .filter(([, { length }]) => length > 0)
    .map(([subject, { length }]) => `${subject} ${length}`)
    .sort()
  await poll(
    async () => {
      const now = (await present(hub, 'room.all')).subjects
        .map(({ subject, connections }) => `${subject} ${connections}`)
        .sort()
      return now.join() === here.join() ? true : undefined
    },
    () => 'the present subjects are not the subjects with streams',
  )
  t.ok(here.length > 500 && here.length < SUBJECTS, `${here.length} of ${SUBJECTS} are present`)
  const tell = (): Set<string> => {
    const now = new Set<string>()
    for (const {
      type,
      data: { subject, subjects },
    } of told(watch)) {
      if (type === 'join' ? now.has(subject) : !now.delete(subject)) throw new Error(`${type} of ${subject} twice`)
      if (type === 'join') now.add(subject)
      if (now.size !== subjects) throw new Error(`${now.size} subjects joined, the event counts ${subjects}`)
    }
    return now
  }
  await watch.until(() => tell().size === here.length)
  t.strictSame([...tell()].sort(), here.map((line) => line.split(' ')[0]).sort(), 'the events match the list')
  for (const stream of [...streams.values()].flat()) stream.destroy()
  await watch.until(() => tell().size === 0)
  await poll(
    async () => ((await present(hub, 'room.all')).subjects.length === 0 ? true : undefined),
    () => 'a subject is still present',
  )
})
