/** Publishers and subscribers on hubs that are killed at any moment. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Crashing } from './crashing.js'
import { within } from './deadline.js'
import { post, type Answer, type Published } from './http.js'
import { ndjson } from './ndjson.js'
import { matches, type Logged } from './oracle.js'
import { random, type Random } from './random.js'
import { openStream, streamUrl, type EventStream, type StreamEvent } from './stream.js'
import { anyTopic } from './token.js'

/** The maximum life of a hub, in milliseconds. */
const LIFE = 700
/** The time limit for the rest of the events after the last kill, in milliseconds. */
export const END = 90_000
/** The time after which a client repeats a refused request or a refused stream, in milliseconds. */
const RETRY = 50
const PUBLISHERS = 3
const TOPICS = ['shop.orders.1', 'shop.orders.2', 'shop.stock', 'users.1', 'users.2']
const SELECTIONS = [
  ['**'],
  ['shop.orders.1'],
  ['shop.**'],
  ['users.*', 'shop.stock'],
  ['*.orders.*', 'users.2', 'users.1'],
]

export const bearer = anyTopic()

/** An event to publish. Its data identifies it, and its publisher id is the same at each try. */
interface Wanted {
  topic: string
  id: string
  data: string
}

/** What a run does. */
export interface Load {
  /** The seed of all choices. */
  seed: number
  /** The minimum number of kills. */
  kills: number
  /** The minimum time, in milliseconds. */
  time: number
  /** Whether publishers upload NDJSON too, which does not return the cursors of its events. */
  uploads?: boolean
  /** Whether subscribers stay disconnected for a while. */
  away?: boolean
}

export interface Run {
  acknowledged: Logged[]
  uploaded: Wanted[]
  /** The number of repeated requests. */
  retried: number
  subscribers: Subscriber[]
}

/** Runs publishers and subscribers on hubs that are killed. Resolves when every subscriber has read the last event. */
export async function crash(t: Test, hub: Crashing, load: Load): Promise<Run> {
  const { seed, uploads = false } = load
  const run: Run = { acknowledged: [], uploaded: [], retried: 0, subscribers: [] }
  let isOver = false
  let publish: () => void = () => undefined // wakes the tasks that wait for further events

  const subscribers = SELECTIONS.map((topics, n) => new Subscriber(t, hub, topics, random(seed + 100 + n)))
  run.subscribers = subscribers
  const away = async (events: number): Promise<void> => {
    const until = run.acknowledged.length + events
    while (!isOver && run.acknowledged.length < until) {
      await new Promise<void>((resolve) => {
        const others = publish
        publish = () => {
          others()
          resolve()
        }
      })
    }
  }
  const reading = subscribers.map((subscriber) => subscriber.run(load.away === true ? away : undefined))
  for (const promise of reading) promise.catch(() => undefined) // awaited below
  await within(
    Promise.race([Promise.all(subscribers.map(({ opened }) => opened)), ...reading]),
    () => 'a subscriber does not begin',
  )

  async function send(events: Wanted[], asUpload: boolean): Promise<void> {
    let sent = 0
    const answer = await insist(hub, (url) => {
      sent++
      return asUpload ? upload(url, events) : events.length === 1 ? single(url, events[0]!) : batch(url, events)
    })
    run.retried += sent - 1
    if (asUpload) run.uploaded.push(...events)
    else
      receiptsOf(answer).forEach(({ id, topic }, index) =>
        run.acknowledged.push({ id, topic, data: JSON.stringify(events[index]!.data) }),
      )
    const wake = publish
    publish = () => undefined
    wake()
  }

  async function publisher(name: number): Promise<void> {
    const choose = random(seed + 1_000 + name)
    for (let n = 0; !isOver;) {
      const how = choose.below(10)
      const count = how < 6 ? 1 : 1 + choose.below(12)
      const events = Array.from({ length: count }, () => ({
        topic: choose.pick(TOPICS),
        id: `${name}/${n}`,
        data: `${name}/${n++} ${'.'.repeat(choose.below(200))}`,
      }))
      await send(events, uploads && how === 9)
    }
  }
  const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, name) => publisher(name)))
  publishing.catch(() => undefined) // awaited below

  const numbers = random(seed)
  const end = performance.now() + load.time
  while (hub.kills < load.kills || performance.now() < end) {
    await delay(numbers.below(LIFE)) // a kill at any moment
    await hub.crash(numbers)
  }

  isOver = true
  publish()
  await within(publishing, () => 'the publishers do not finish', END)
  await send(
    TOPICS.map((topic) => ({ topic, id: 'end', data: `end of ${topic}` })),
    false,
  )
  await within(Promise.all(reading), () => subscribers.map((subscriber) => subscriber.describe()).join('\n'), END)
  return run
}

/** A client that reconnects with its last id until it has read the last event. */
export class Subscriber {
  readonly topics: readonly string[]
  readonly name: string
  /** All received events, over all connections. */
  readonly blocks: StreamEvent[] = []
  connections = 0
  /** Settles when the subscriber has its first id. */
  readonly opened: Promise<void>
  readonly #t: Test
  readonly #hub: Crashing
  readonly #random: Random
  #lastId: string | undefined
  #stream: EventStream | undefined
  #begin: () => void = () => undefined

  constructor(t: Test, hub: Crashing, topics: readonly string[], numbers: Random) {
    this.#t = t
    this.#hub = hub
    this.topics = topics
    this.name = `the subscriber of ${topics.join(' and ')}`
    this.#random = numbers
    this.opened = new Promise((resolve) => (this.#begin = resolve))
  }

  /**
   * @param away waits until a number of further events have been published; without it, the subscriber reconnects at
   *   once
   */
  async run(away?: (events: number) => Promise<void>): Promise<void> {
    while (!this.#isAtEnd()) {
      const stream = await this.#connect(await this.#hub.url())
      if (!stream) continue
      this.#stream = stream
      this.connections++
      // Sometimes the subscriber disconnects by itself.
      const enough = this.#random.below(4) === 0 ? this.#random.below(100) : Infinity
      await stream.until(() => stream.lastId !== undefined, END).then(this.#begin, () => undefined)
      await stream
        .until(() => stream.events.length >= enough || this.#isAtEnd(stream), 10 * END)
        .catch((err: unknown) => {
          if (!stream.isClosed) throw err
        })
      stream.destroy()
      this.blocks.push(...stream.all)
      this.#stream = undefined
      this.#lastId = stream.lastId ?? this.#lastId
      if (stream.lastId === undefined) await delay(RETRY) // refused for now
      if (away && this.#random.below(2) === 0) await away(this.#random.below(150))
    }
  }

  describe(): string {
    return `${this.name}, last id ${this.#lastId ?? '(none)'}: ${this.#stream?.describe() ?? 'not connected'}`
  }

  async #connect(url: string): Promise<EventStream | undefined> {
    const lastEventId = this.#lastId === undefined ? {} : { lastEventId: this.#lastId }
    return openStream(this.#t, streamUrl({ url }, this.topics), { token: bearer, ...lastEventId }).catch(
      (err: unknown) => {
        if (isConnectionLost(err)) return undefined
        throw err
      },
    )
  }

  #isAtEnd(stream?: EventStream): boolean {
    const wanted = TOPICS.filter((topic) => matches(this.topics, topic)).length
    const read = [...this.blocks.slice(-50), ...(stream?.all.slice(-50) ?? [])]
    return read.filter(({ data }) => data.startsWith('"end of ')).length === wanted
  }
}

/** Repeats a request until it succeeds. */
async function insist(hub: Crashing, send: (url: string) => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      const answer = await send(await hub.url())
      if (answer.status < 300) return answer
      if (answer.status === 503 && hub.refuses) {
        await delay(RETRY)
        continue
      }
      throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
    } catch (err) {
      if (!isConnectionLost(err)) throw err
    }
  }
}

/** Whether an error is one that a client gets when the hub is killed. */
function isConnectionLost(err: unknown): boolean {
  for (let cause = err; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(String(cause.code)))
      return true
    if (cause.message === 'terminated') return true // the message of `fetch` for an incomplete answer
  }
  return false
}

function single(url: string, { topic, ...event }: Wanted): Promise<Answer> {
  return post(`${url}/topics/${topic}/events`, event, bearer)
}

function batch(url: string, events: Wanted[]): Promise<Answer> {
  return post(`${url}/events`, { events }, bearer)
}

function upload(url: string, events: Wanted[]): Promise<Answer> {
  return post(`${url}/events`, ndjson(events), bearer, { 'content-type': 'application/x-ndjson' })
}

function receiptsOf({ body }: Answer): Published[] {
  return (body as { events?: Published[] }).events ?? [body as Published]
}
