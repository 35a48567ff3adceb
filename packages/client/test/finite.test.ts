/** Finite topics: `fanfare.end`, and 204 behind it. */
import type { ServerResponse } from 'node:http'
import t from 'tap'
import type { HubEvent, HubState } from 'fanfare-client'
import { clientOf, Collected, dataOf, States } from './hubs.js'
import { ending, event, live, opening, scripted, STREAM } from './scripted.js'

/** Returns an answer that sends blocks and keeps the stream open, and the stream once it is asked for. */
function held(...blocks: string[]): { answer: (response: ServerResponse) => void; stream: Promise<ServerResponse> } {
  let asked: (response: ServerResponse) => void
  const stream = new Promise<ServerResponse>((resolve) => (asked = resolve))
  return {
    stream,
    answer(response) {
      response.writeHead(200, STREAM).write(blocks.join(''))
      asked(response)
    },
  }
}

const complete = (response: ServerResponse): unknown => response.writeHead(204).end()

await t.test('a finite topic ends the loop after its last event', async (t) => {
  const url = await scripted(t, [
    (response) =>
      response.writeHead(200, STREAM).end(opening(['a']) + event(1, 'a') + event(2, 'a') + ending(3, 'done')),
    complete,
  ])
  const client = clientOf(t, url)
  const states = new States()
  const received = new Collected<HubEvent>()
  client.subscribe('a', received.add, { from: 'start', type: [], onState: states.add })
  await states.reach('closed', 'ended')
  t.equal(states.items.at(-1)?.end, 'done', 'no type leaves out the end')
  const found: unknown[] = []
  for await (const { data } of client.events('a', { from: 'start' })) found.push(data)
  t.strictSame(found, [], 'behind the end (204) a loop ends at once')
})

const JSON_END = { id: 'abcdefgh-2', topic: 'a', type: 'fanfare.end', time: '2026-11-30T00:00:00Z' }
for (const [how, block] of [
  ['without a name', `id: abcdefgh-2\ndata: ${JSON.stringify({ ...JSON_END, data: { status: 'error' } })}\n\n`],
  [
    'with a name',
    `id: abcdefgh-2\nevent: fanfare.end\ndata: ${JSON.stringify({ ...JSON_END, data: { status: 'error' } })}\n\n`,
  ],
]) {
  await t.test(`an end that is a whole event, ${how}, is no event for the handler`, async (t) => {
    const { answer } = held(opening(['a', 'b']), event(1, 'a'), block!, event(3, 'b'))
    const client = clientOf(t, await scripted(t, [answer]))
    const received = new Collected<HubEvent>()
    const states = new States()
    client.subscribe('a', received.add, { presence: true, onState: states.add })
    client.subscribe('b', received.add, { presence: true })
    t.strictSame(dataOf(await received.count(2)), [1, 3])
    t.match(states.items.at(-1), { status: 'closed', reason: 'ended', end: 'error' })
  })
}

await t.test('on a stream of several topics an end is for its topic', async (t) => {
  const shared = held(opening(['a', 'b', 'c', '*']), live(0))
  const client = clientOf(t, await scripted(t, [shared.answer]))
  const names = ['a', 'b', ['a', 'b'], '*', 'c']
  const lists = names.map(() => new Collected<unknown>())
  const states = names.map(() => new States())
  names.forEach((patterns, i) =>
    client.subscribe(patterns, ({ data }) => lists[i]!.add(data), {
      onState: states[i]!.add,
      onEnd: ({ topic, end }) => lists[i]!.add(`${topic} ${end}`),
    }),
  )
  const stream = await shared.stream
  stream.write(event(1, 'a') + ending(2, 'done', 'a') + event(3, 'b'))
  await lists[3]!.count(3)
  stream.write(ending(4, 'expired', 'b') + event(5, 'c'))
  await lists[4]!.count(1)
  t.strictSame(
    lists.map(({ items }) => items),
    [[1, 'a done'], [3, 'b expired'], [1, 'a done', 3, 'b expired'], [1, 'a done', 3, 'b expired', 5], [5]],
  )
  const last = states.map(({ items }): HubState => items.at(-1)!)
  t.match(last[0], { status: 'closed', reason: 'ended', end: 'done' })
  t.match(last[1], { status: 'closed', reason: 'ended', end: 'expired' })
  t.match(last[2], { status: 'closed', reason: 'ended', end: 'expired' }, 'several topics end with the last of them')
  t.match(last[3], { status: 'live' }, 'a pattern may match further topics')
  t.match(last[4], { status: 'live' })
})

await t.test('an end does not overtake the past that a subscription still reads', async (t) => {
  const shared = held(opening(['a']), live(0))
  const own = held(opening(['a']), event(1, 'a'))
  const client = clientOf(t, await scripted(t, [shared.answer, own.answer]))
  const now = new States()
  client.subscribe('a', () => undefined, { onState: now.add })
  await now.reach('live')
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { from: 'start', onState: states.add })
  await received.count(1)
  ;(await shared.stream).write(event(2, 'a') + ending(3, 'done'))
  await now.reach('closed', 'ended')
  ;(await own.stream).write(event(2, 'a') + ending(3, 'done'))
  await states.reach('closed', 'ended')
  t.equal(states.items.at(-1)?.end, 'done')
  t.strictSame(dataOf(received.items), [1, 2])
})

await t.test('a shared stream that is complete (204) leaves the past to the own stream', async (t) => {
  const shared = held(opening(['a']), live(0))
  const own = held(opening(['a']), event(1, 'a'))
  const client = clientOf(t, await scripted(t, [shared.answer, own.answer, complete]))
  const now = new States()
  client.subscribe('a', () => undefined, { onState: now.add })
  await now.reach('live')
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { from: 'start', onState: states.add })
  await received.count(1)
  ;(await shared.stream).end()
  await now.reach('closed', 'ended')
  t.not(states.items.at(-1)?.status, 'closed')
  ;(await own.stream).write(event(2, 'a') + ending(3, 'cancelled'))
  await states.reach('closed', 'ended')
  t.equal(states.items.at(-1)?.end, 'cancelled')
  t.strictSame(dataOf(received.items), [1, 2])
})
