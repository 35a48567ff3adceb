/**
 * The four applications of most Server-Sent Events tutorials, with `curl` alone: a growing list, a chat, a clock, a
 * notification.
 */
import t, { type Test } from 'tap'
import { curl, skipCurl, type Curl } from '../helper/curl.js'
import { startHub, type Hub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'

const AUTHORIZATION = `authorization: Bearer ${anyTopic()}`

/** Returns the blocks of a stream in curl's output, each as a list of lines. */
function blocks(output: string): string[][] {
  return output
    .split('\n\n')
    .slice(0, -1)
    .map((block) => block.split('\n'))
}

/** Returns the blocks of published events. */
function events(output: string): string[][] {
  return blocks(output).filter(
    (lines) =>
      lines.some((line) => line.startsWith('data:')) && !lines.some((line) => line.startsWith('event: fanfare.')),
  )
}

/** Returns the payloads of the events, in order. */
function data(output: string): string[] {
  return events(output).map((lines) =>
    lines
      .filter((line) => line.startsWith('data: '))
      .map((line) => line.slice('data: '.length))
      .join('\n'),
  )
}

function subscribe(t: Test, hub: Hub, path: string): Curl {
  return curl(t, '-N', '-H', AUTHORIZATION, `${hub.url}${path}`)
}

/** Subscribes to new events, and waits until the stream is open. */
async function live(t: Test, hub: Hub, path: string): Promise<Curl> {
  const stream = subscribe(t, hub, path)
  await stream.until((output) => blocks(output).length > 0)
  return stream
}

async function publish(t: Test, hub: Hub, topic: string, event: object): Promise<{ id: string; subscribers: number }> {
  const answer = await curl(
    t,
    '-H',
    AUTHORIZATION,
    '-H',
    'content-type: application/json',
    '-d',
    JSON.stringify(event),
    `${hub.url}/topics/${topic}/events`,
  ).ended()
  return JSON.parse(answer) as { id: string; subscribers: number }
}

await t.test('the tutorials with curl', { skip: skipCurl }, async (t) => {
  const hub = await startHub(t)

  await t.test('a new subscriber gets the list at once, and then new items', async (t) => {
    const first = subscribe(t, hub, '/topics/list/events?replay=all')
    await first.until((output) => output.includes('event: fanfare.live\n'))
    t.strictSame(data(first.output()), [], 'the first stream opens before there are events')
    for (const item of ['milk', 'bread']) await publish(t, hub, 'list', { data: { item } })
    const second = subscribe(t, hub, '/topics/list/events?replay=all')
    await second.until((output) => data(output).length === 2)
    await publish(t, hub, 'list', { data: { item: 'crème fraîche' } })
    const third = subscribe(t, hub, '/topics/list/events?replay=all')
    for (const stream of [first, second, third]) {
      const output = await stream.until((output) => data(output).length === 3)
      t.strictSame(data(output), ['{"item":"milk"}', '{"item":"bread"}', '{"item":"crème fraîche"}'])
    }
    const replayed = await third.until((output) => output.includes('event: fanfare.live\n'))
    t.strictSame(
      data(replayed.slice(0, replayed.indexOf('event: fanfare.live'))).length,
      3,
      'the list arrives before the live block',
    )
  })

  await t.test('a chat message is echoed to all', async (t) => {
    const people = await Promise.all(Array.from({ length: 5 }, () => live(t, hub, '/topics/chat/events')))
    const said = ['hello', 'two\nlines', '¿qué tal? 👋']
    for (const text of said) t.equal((await publish(t, hub, 'chat', { text })).subscribers, people.length)
    const heard = await Promise.all(
      people.map((person) => person.until((output) => data(output).length === said.length)),
    )
    for (const output of heard) t.strictSame(data(output), said)

    const plain = await curl(
      t,
      '-H',
      AUTHORIZATION,
      '-H',
      'content-type: text/plain',
      '--data-binary',
      'by hand',
      `${hub.url}/topics/chat/events`,
    ).ended()
    t.match(JSON.parse(plain), { topic: 'chat', duplicate: false, subscribers: people.length })
    for (const person of people) await person.until((output) => data(output).at(-1) === 'by hand')
  })

  await t.test('a clock ticks, and each tick has an id', async (t) => {
    const clock = await live(t, hub, '/topics/clock/events')
    const ids: string[] = []
    for (let tick = 0; tick < 5; tick++)
      ids.push((await publish(t, hub, 'clock', { data: `2026-01-01T00:00:0${tick}Z` })).id)
    const output = await clock.until((output) => data(output).length === 5)
    t.strictSame(
      events(output),
      ids.map((id, tick) => [`id: ${id}`, `data: "2026-01-01T00:00:0${tick}Z"`]),
    )

    const missed = curl(
      t,
      '-N',
      '-H',
      AUTHORIZATION,
      '-H',
      `Last-Event-ID: ${ids[2]!}`,
      `${hub.url}/topics/clock/events`,
    )
    const rest = await missed.until((output) => output.includes('event: fanfare.live\n'))
    t.strictSame(data(rest), ['"2026-01-01T00:00:03Z"', '"2026-01-01T00:00:04Z"'], 'a subscriber resumes from the id')
  })

  await t.test('a notification has an event type', async (t) => {
    const stream = await live(t, hub, '/topics/users.u1.notifications/events')
    const filtered = await live(t, hub, '/topics/users.u1.notifications/events?type=invoice')
    const { id: mail } = await publish(t, hub, 'users.u1.notifications', { type: 'mail', data: { from: 'u2' } })
    const { id: invoice } = await publish(t, hub, 'users.u1.notifications', { type: 'invoice', data: { total: 12 } })
    const output = await stream.until((output) => data(output).length === 2)
    t.strictSame(events(output), [
      [`id: ${mail}`, 'event: mail', 'data: {"from":"u2"}'],
      [`id: ${invoice}`, 'event: invoice', 'data: {"total":12}'],
    ])
    t.strictSame(events(await filtered.until((output) => data(output).length === 1)), [
      [`id: ${invoice}`, 'event: invoice', 'data: {"total":12}'],
    ])
  })

  await t.test('the head has the headers for proxies and browsers', async (t) => {
    const head = await curl(t, '--head', '-H', AUTHORIZATION, `${hub.url}/topics/clock/events`).ended()
    t.match(head, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(head, /^content-type: text\/event-stream\b/im)
    t.match(head, /^cache-control: no-store, no-transform\r$/im)
    t.match(head, /^x-accel-buffering: no\r$/im)
    t.match(head, /^last-event-id: [a-z0-9]{8}-\d+\r$/im)
  })
})
