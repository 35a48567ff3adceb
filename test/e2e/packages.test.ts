/** Real data through a real process: Debian's package index, one event a package (see test/fixtures/README.md). */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { within } from '../helper/deadline.js'
import { history, post, type History } from '../helper/http.js'
import { ndjson } from '../helper/ndjson.js'
import { sequence } from '../helper/oracle.js'
import { startHub } from '../helper/process.js'
import { openLive, openStream, streamUrl, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

interface Package {
  package: string
  version: string
  section: string
  description: string
}

interface PackageEvent {
  topic: string
  type: string
  text: string
}

const FIXTURE = new URL('../fixtures/packages.ndjson.gz', import.meta.url)

/** Returns the topic of a package. A section such as `non-free/utils` has a character that topics do not allow. */
function topicOf({ section }: Package): string {
  return `packages.${section.replace(/[^A-Za-z0-9_~:@-]/g, '-')}`
}

const packages = gunzipSync(readFileSync(FIXTURE))
  .toString('utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Package)
const events = packages.map((entry): PackageEvent => ({
  topic: topicOf(entry),
  type: 'package',
  text: entry.description,
}))
const sections = [...new Set(events.map(({ topic }) => topic))]

/** Returns a digest of topic, type and text of events, in order. */
function digest(list: readonly { topic: string; type: string | undefined; text: string }[]): string {
  const hash = createHash('sha256')
  for (const { topic, type, text } of list) hash.update(JSON.stringify([topic, type, text]))
  return `${list.length} events, ${hash.digest('hex')}`
}

function received(
  stream: readonly StreamEvent[],
  topic?: string,
): { topic: string; type: string | undefined; text: string }[] {
  return stream.map((event) => ({ topic: event.topic ?? topic ?? '(none)', type: event.type, text: event.data }))
}

await t.test('the fixture has the expected contents', async (t) => {
  t.equal(packages.length, 5_000)
  t.ok(sections.length > 50, `${sections.length} sections`)
  t.ok(
    packages.filter(({ description }) => description.includes('\n')).length > 4_900,
    'most descriptions have several lines',
  )
  t.ok(
    packages.filter(({ description }) => /[^\p{ASCII}]/u.test(description)).length > 1_000,
    'many descriptions are not ASCII',
  )
})

await t.test('5,000 packages reach every subscriber once and unaltered', async (t) => {
  const hub = await startHub(t, { FANFARE_RETAIN_EVENTS: '100000' })
  const token = anyTopic()

  const exact = await Promise.all(
    sections.map(async (topic) => ({ topic, stream: await openLive(t, streamUrl(hub, [topic]), { token }) })),
  )
  const pattern = await openLive(t, streamUrl(hub, ['packages.*']), { token })
  const half = await openLive(t, streamUrl(hub, ['packages.*']), { token, limit: events.length / 2 })

  const answer = post<{ accepted: number; duplicates: number; lastId: string }>(
    `${hub.url}/events`,
    ndjson(events),
    token,
    {
      'content-type': 'application/x-ndjson',
    },
  )
  await within(half.closed, () => half.describe())
  const rest = await openStream(t, streamUrl(hub, ['packages.*']), { token, lastEventId: half.lastId! })

  const { status, body } = await answer
  t.equal(status, 200)
  t.match(body, { accepted: events.length, duplicates: 0 })

  for (const { topic, stream } of exact) {
    const due = events.filter((event) => event.topic === topic)
    await stream.count(due.length)
    t.equal(digest(received(stream.events, topic)), digest(due), topic)
  }

  await pattern.count(events.length)
  t.equal(digest(received(pattern.events)), digest(events), 'packages.*')
  t.equal(pattern.lastId, body.lastId, 'the answer has the cursor of the last event')
  t.strictSame(
    pattern.events.map(({ id }) => sequence(id!)),
    events.map((_, n) => n + sequence(pattern.events[0]!.id!)),
    'in the order of the file',
  )

  await rest.count(events.length / 2)
  t.equal(half.events.length, events.length / 2)
  t.equal(
    digest(received([...half.events, ...rest.events])),
    digest(events),
    'packages.*, disconnected in the middle and resumed',
  )

  await t.test('the pages of history have the same events', async (t) => {
    const read: PackageEvent[] = []
    let page: History = { events: [], cursor: half.ids[0]!.id, more: true, gap: null }
    while (page.more) {
      page = (await history(hub, 'packages.*', `after=${page.cursor}&limit=1000`, token)).body
      t.equal(page.gap, null)
      read.push(...page.events.map(({ topic, type, text }) => ({ topic, type: type!, text: text! })))
    }
    t.equal(digest(read), digest(events))
  })

  await t.test('a replay sends all events again', async (t) => {
    const topic = sections.find((name) => name.endsWith('.python'))!
    const due = events.filter((event) => event.topic === topic)
    const stream = await openLive(t, streamUrl(hub, [topic], { replay: 'all' }), { token })
    t.equal(digest(received(stream.events, topic)), digest(due))
  })
})
