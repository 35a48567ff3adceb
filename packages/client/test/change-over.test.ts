/**
 * Subscriptions that begin in the past, beside others on a shared stream: whatever the order of events, trims, cuts and
 * ends is, each gets each event once, in order, or is told of a gap. The hub is a model, whose streams a test feeds
 * block by block.
 */
import fc from 'fast-check'
import t from 'tap'
import { connect, type HubEvent } from 'fanfare-client'

const TOPICS = ['a', 'b']
const EPOCH = 'abcdefgh'
const encoder = new TextEncoder()

interface Stored {
  n: number
  topic: string
  isEnd: boolean
}

/** A stream of the model. Its blocks wait until the test sends them. */
interface Feed {
  id: string
  topics: string[]
  blocks: string[]
  controller: ReadableStreamDefaultController<Uint8Array>
}

class ModelHub {
  readonly log: Stored[] = []
  readonly feeds = new Set<Feed>()
  trimmed = 0
  #feeds = 0

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    await Promise.resolve()
    const url = new URL(input instanceof Request ? input.url : input)
    if (init?.method === 'PATCH') return this.#change(url.pathname.split('/').at(-1)!, init.body as string)
    return this.#open(url.searchParams, init?.signal ?? undefined)
  }

  hasEnded(topic: string): boolean {
    return this.log.some((stored) => stored.topic === topic && stored.isEnd)
  }

  append(topic: string, isEnd: boolean): void {
    if (this.hasEnded(topic)) return
    const stored = { n: this.log.length + 1, topic, isEnd }
    this.log.push(stored)
    for (const feed of this.feeds) if (feed.topics.includes(topic)) feed.blocks.push(this.#block(stored, feed))
  }

  /** Sends the next blocks of a stream. */
  send(at: number, count: number): void {
    const feed = [...this.feeds][at % Math.max(1, this.feeds.size)]
    for (const block of feed?.blocks.splice(0, count) ?? []) feed?.controller.enqueue(encoder.encode(block))
  }

  cut(at: number): void {
    const feed = [...this.feeds][at % Math.max(1, this.feeds.size)]
    if (!feed) return
    this.feeds.delete(feed)
    feed.controller.error(new Error('cut'))
  }

  #open(query: URLSearchParams, signal: AbortSignal | undefined): Response {
    const topics = query.getAll('topic')
    const last = query.get('lastEventId')
    const after = last === null ? (query.has('from') ? 0 : this.log.length) : Number(last.slice(EPOCH.length + 1))
    // a topic keeps its end
    const past = this.log.filter(
      ({ n, topic, isEnd }) => n > after && (isEnd || n > this.trimmed) && topics.includes(topic),
    )
    if (
      topics.every((topic) => this.hasEnded(topic)) &&
      !this.log.some(({ n, topic }) => n > after && topics.includes(topic))
    )
      return new Response(null, { status: 204 })
    const id = `feed-${++this.#feeds}`
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const feed: Feed = { id, topics, blocks: [], controller }
        feed.blocks.push(this.#opening(feed, after))
        if (after < this.trimmed && this.log.slice(after, this.trimmed).some(({ topic }) => topics.includes(topic))) {
          const gap = { reason: 'expired', after: `${EPOCH}-${after}`, oldest: null }
          feed.blocks.push(`event: fanfare.gap\ndata: ${JSON.stringify(gap)}\n\n`)
        }
        feed.blocks.push(...past.map((stored) => this.#block(stored, feed)))
        if (after < this.log.length || last !== null || query.has('from'))
          feed.blocks.push(`event: fanfare.live\nid: ${EPOCH}-${this.log.length}\ndata: {}\n\n`)
        this.feeds.add(feed)
        signal?.addEventListener('abort', () => {
          if (this.feeds.delete(feed)) controller.error(signal.reason)
        })
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  #change(id: string, body: string): Response {
    const feed = [...this.feeds].find((one) => one.id === id)
    if (!feed) return Response.json({ code: 'no-connection' }, { status: 404 })
    const { subscribe, unsubscribe } = JSON.parse(body) as { subscribe: string[]; unsubscribe: string[] }
    feed.topics = [...feed.topics.filter((topic) => !unsubscribe.includes(topic)), ...subscribe]
    feed.blocks.push(this.#opening(feed, this.log.length))
    return Response.json({ topics: feed.topics })
  }

  #opening({ id, topics }: Feed, after: number): string {
    return `id: ${EPOCH}-${after}\nevent: fanfare.open\ndata: ${JSON.stringify({ connection: id, topics })}\n\n`
  }

  #block({ n, topic, isEnd }: Stored, { topics }: Feed): string {
    const id = `${EPOCH}-${n}`
    if (isEnd) {
      const line = topics.length > 1 ? `topic: ${topic}\n` : ''
      return `id: ${id}\nevent: fanfare.end\n${line}data: {"status":"done"}\n\n`
    }
    return `id: ${id}\ndata: ${JSON.stringify({ id, topic, time: '2026-11-30T00:00:00Z', data: n })}\n\n`
  }
}

const place = fc.nat({ max: 7 })
const topic = fc.constantFrom(...TOPICS)
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const), topic }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('send' as const), place, count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('follow' as const), topic, isPast: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), topic }) },
)

/** What a subscription was told: the number of an event, or a gap. */
interface Followed {
  topic: string
  isPast: boolean
  told: (number | 'gap')[]
  hasEnded: boolean
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2))

async function run(
  commands: readonly (typeof command extends fc.Arbitrary<infer Command> ? Command : never)[],
): Promise<void> {
  const model = new ModelHub()
  const client = connect('http://hub.invalid', { token: 'x', fetch: model.fetch, maxWait: 0 })
  const all: Followed[] = []
  const follow = (topic: string, isPast: boolean): void => {
    const one: Followed = { topic, isPast, told: [], hasEnded: false }
    all.push(one)
    client.subscribe<number>(topic, ({ data }: HubEvent<number>) => void one.told.push(data), {
      ...(isPast && { from: 'start' }),
      onGap: () => void one.told.push('gap'),
      onState: ({ reason }) => (one.hasEnded ||= reason === 'ended'),
    })
  }
  for (const one of commands) {
    if (one.kind === 'publish') model.append(one.topic, false)
    if (one.kind === 'end') model.append(one.topic, true)
    if (one.kind === 'send') model.send(one.place, one.count)
    if (one.kind === 'cut') model.cut(one.place)
    if (one.kind === 'trim') model.trimmed = model.log.length
    if (one.kind === 'follow') follow(one.topic, one.isPast)
    await pause()
  }
  const isDone = ({ topic, isPast, told, hasEnded }: Followed): boolean =>
    model.hasEnded(topic)
      ? hasEnded || !isPast
      : told.at(-1) === model.log.findLast((stored) => stored.topic === topic)?.n
  for (let round = 0; round < 500 && (round < 20 || !all.every(isDone)); round++) {
    if (round % 10 === 9) for (const topic of TOPICS) model.append(topic, false)
    for (let at = 0; at < model.feeds.size; at++) model.send(at, 100)
    await pause()
  }
  client.close()
  for (const one of all) check(one, model)
}

function check({ topic, isPast, told, hasEnded }: Followed, model: ModelHub): void {
  const due = model.log.filter((stored) => stored.topic === topic && !stored.isEnd).map(({ n }) => n)
  const wrong = (why: string): never => {
    throw new Error(`${why}: ${JSON.stringify({ topic, isPast, told, due, hasEnded })}`)
  }
  // a subscription that begins behind an end is told when all topics of the stream are complete (204)
  if (isPast && model.hasEnded(topic) && !hasEnded) wrong('the end is missing')
  const first = told.find((one) => one !== 'gap')
  if (!isPast && first === undefined) return // it began behind the last event
  let before = isPast ? 0 : Number(first) - 1
  let isGap = false
  for (const one of [...told, Infinity]) {
    if (one === 'gap') isGap = true
    else {
      if (one <= before) wrong('an event is repeated, or out of order')
      if (!isGap && due.some((n) => n > before && n < one)) wrong('an event is missing without a gap')
      before = one
      isGap = false
    }
  }
}

await t.test('random orders of events, trims, cuts and ends', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), run), {
    numRuns: 40,
    endOnFailure: true,
    interruptAfterTimeLimit: 15_000,
  })
  t.pass()
})
