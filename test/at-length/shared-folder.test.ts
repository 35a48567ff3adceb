/**
 * Four hubs on one folder, of which any is killed, frozen or stopped at any moment: every acknowledged event is stored
 * once, and subscribers that reconnect to any process get every event, in order and once.
 *
 * `SHARED_KILLS` is the number of kills, and `SHARED_SEED` repeats the choices of a run.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { poll, within } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { request, type History, type Published } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { random } from '../helper/random.js'
import { openStream, streamUrl, type EventStream, type StreamEvent } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const KILLS = Number(process.env['SHARED_KILLS'] ?? 60)
const SEED = Number(process.env['SHARED_SEED'] ?? Date.now() % 1_000_000)
const HUBS = 4
const READERS = 20
const PUBLISHERS = 4
const TOPICS = ['a', 'b.1', 'b.2', 'c']

const bearer = anyTopic()

t.setTimeout(120_000 + KILLS * 10_000)
t.comment(`${KILLS} kills, SHARED_SEED=${SEED}`)

const numbers = random(SEED)
const folder = `${t.testdir({})}/log`

/** A port, and the hub that listens on it. */
interface Slot {
  readonly env: Record<string, string>
  readonly url: string
  hub: Hub | undefined
}

const slots: Slot[] = []
for (let n = 0; n < HUBS; n++) {
  const port = await freePort()
  const env = {
    PORT: String(port),
    FANFARE_LOG: `file:${folder}`,
    FANFARE_LEADER_TIMEOUT: '2s',
    FANFARE_RETAIN_EVENTS: '1000000',
    FANFARE_DURABILITY: 'commit',
  }
  slots.push({ env, url: `http://127.0.0.1:${port}`, hub: undefined })
}

/** Starts a hub, again and again while a frozen leader prevents the start. */
async function start(slot: Slot): Promise<void> {
  for (;;) {
    try {
      slot.hub = await startHub(t, slot.env)
      return
    } catch (err) {
      if (!String(err).includes('does not answer')) throw err
      await delay(50)
    }
  }
}

let isOver = false
let repeated = 0
const acknowledged: { id: string; data: string }[] = []

/** Publishes one event after the other at random hubs: alone or in batches. */
async function publish(name: string): Promise<void> {
  const own = random(SEED + name.length + Number(name.slice(1)) * 7)
  for (let n = 0; !isOver; n++) {
    const topic = own.pick(TOPICS)
    const events = Array.from({ length: own.pick([1, 1, 1, 5]) }, (_, m) => {
      const data = `${name}-${n}-${m}`
      return { topic, data, id: data }
    })
    for (;;) {
      const answer = await attempt(own.pick(slots).url, events)
      if (answer) {
        for (const [index, { data }] of events.entries()) acknowledged.push({ id: answer[index]!, data })
        break
      }
      repeated++
      await delay(10)
    }
    await delay(own.pick([0, 2, 10]))
  }
}

/** @returns the cursors of the events; `undefined`: the request has to be repeated */
async function attempt(
  url: string,
  events: { topic: string; data: string; id: string }[],
): Promise<string[] | undefined> {
  const [first] = events as [(typeof events)[0]]
  const signal = AbortSignal.timeout(4_000)
  try {
    const { status, body } = await (events.length === 1
      ? request<Published>(`${url}/topics/${first.topic}/events`, sending({ data: first.data, id: first.id }, signal))
      : request<{ events: Published[] }>(`${url}/events`, sending({ events }, signal)))
    if (status >= 300) return undefined
    return 'events' in body ? body.events.map(({ id }) => id) : [body.id]
  } catch {
    return undefined
  }
}

function sending(body: object, signal: AbortSignal): RequestInit {
  return {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  }
}

/** A subscriber that reconnects to a random hub. */
class Reader {
  readonly events: StreamEvent[] = []
  readonly gaps: string[] = []
  reconnects = 0
  #stream: EventStream | undefined

  async run(seed: number): Promise<void> {
    const own = random(seed)
    while (!isOver) {
      const { url } = own.pick(slots)
      const lastEventId = this.events.at(-1)?.id
      try {
        const stream = await openStream(t, streamUrl({ url }, ['**'], { replay: 'all' }), {
          token: bearer,
          ...(lastEventId === undefined ? {} : { lastEventId }),
        })
        this.#stream = stream
        await Promise.race([stream.closed, delay(own.pick([500, 1_500, 6_000]))])
        stream.destroy()
        this.events.push(...stream.events)
        this.gaps.push(...stream.all.filter(({ type }) => type === 'fanfare.gap').map(({ data }) => data))
      } catch {
        await delay(20)
      }
      this.#stream = undefined
      this.reconnects++
    }
  }

  /** The number of events so far. */
  get count(): number {
    return this.events.length + (this.#stream?.events.length ?? 0)
  }
}

await Promise.all(slots.map(start))
const publishers = Array.from({ length: PUBLISHERS }, (_, n) => publish(`p${n}`))
const readers = Array.from({ length: READERS }, () => new Reader())
const reading = readers.map((reader, n) => reader.run(SEED + 1_000 + n))

let kills = 0
let freezes = 0
while (kills < KILLS) {
  await delay(numbers.pick([20, 100, 300, 600]))
  const slot = numbers.pick(slots)
  const { hub } = slot
  if (!hub) continue
  const what = numbers.pick(['kill', 'kill', 'kill', 'freeze', 'stop'])
  if (what === 'freeze') {
    hub.signal('SIGSTOP')
    freezes++
    await delay(numbers.pick([50, 400, 2_500]))
    hub.signal('SIGCONT')
    continue
  }
  slot.hub = undefined
  if (what === 'kill') await hub.kill()
  else await hub.stop()
  kills++
  void start(slot).catch((err: unknown) => t.fail(String(err)))
}
await poll(
  async () => (slots.every(({ hub }) => hub) ? true : undefined),
  () => 'a hub does not start again',
)
await delay(500) // publishers continue for a while without kills
isOver = true
await within(Promise.all(publishers), () => 'a publisher gets no answer', 30_000)
await within(Promise.all(reading), () => 'a reader does not end', 30_000)

const log: { id: string; data: string }[] = []
const gaps: object[] = []
for (let after: string | undefined, more = true; more;) {
  const url = streamUrl(slots[0]!, ['**'], { limit: '1000', ...(after === undefined ? {} : { after }) })
  const { body } = await request<History>(url, {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
  if (body.gap) gaps.push(body.gap)
  log.push(...body.events.map(({ id, data }) => ({ id, data: String(data) })))
  after = body.cursor
  more = body.more
}
t.comment(
  `${log.length} events, ${kills} kills, ${freezes} freezes, ${repeated} requests repeated, ${readers.reduce((sum, { reconnects }) => sum + reconnects, 0)} reconnects`,
)
t.strictSame(
  slots.flatMap(({ hub }) => hub!.logs().filter(({ damaged }) => damaged !== undefined)),
  [],
  'no hub has found damage',
)
t.strictSame(gaps, [], 'history has no gap')
const cursors = new Map(log.map(({ id, data }) => [data, id]))
t.equal(cursors.size, log.length, 'each event is stored once')
t.strictSame(
  acknowledged.filter(({ id, data }) => cursors.get(data) !== id).slice(0, 3),
  [],
  `each of ${acknowledged.length} acknowledged events has the cursor of its answer`,
)
const expected = log.map(({ id }) => id)
for (const [n, reader] of readers.entries()) {
  t.strictSame(reader.gaps, [], `reader ${n} gets no gap`)
  const read = reader.events.map(({ id }) => id)
  t.strictSame(read, expected.slice(0, read.length), `reader ${n} has ${read.length} events in order, each once`)
}
t.ok(
  readers.every(({ events }) => events.length > log.length / 2),
  'the readers have kept up',
)
