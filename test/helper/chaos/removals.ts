/**
 * Events that are trimmed or purged while subscribers read them. One publisher numbers the events of a topic, so a
 * subscriber knows what it has missed: it must have been told of a gap there.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { request, send, type Published } from '../http.js'
import { ndjson } from '../ndjson.js'
import { sequence } from '../oracle.js'
import { random, type Random } from '../random.js'
import type { HubPlace } from './places.js'
import type { Story } from './story.js'
import { Subscriber, type Connection } from './subscribers.js'
import type { TrueEvent } from './truth.js'

export interface RemovalOptions {
  hubs: readonly HubPlace[]
  topic: string
  /** Of an admin. */
  token: string
  seed: number
  /** The number of events of one request. */
  each: number
  /** Whether the topic is purged from time to time: of everything, or of what the purging hub has got. */
  purges: false | 'all' | 'known'
}

/** The times between two requests, in milliseconds. */
const PAUSES = [100, 400, 1_500]
/** The time after a request that failed, in milliseconds. */
const AGAIN = 20
/** The time limit of a request, in milliseconds. */
const TIME = 8_000

/** Publishes numbered events to one topic, and purges it. */
export class NumberedTopic {
  readonly #options: RemovalOptions
  readonly #story: Story
  readonly #own: Random
  #isOver = false
  #running: Promise<void> | undefined
  /** The number of the next event. */
  #next = 0
  /** The newest event that was acknowledged before a successful purge began. */
  #purged = -1
  /** The first event that was published after the last purge. */
  #kept = 0
  purges = 0

  constructor(options: RemovalOptions, story: Story) {
    this.#options = options
    this.#story = story
    this.#own = random(options.seed)
  }

  begin(): void {
    this.#running = this.#run()
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  /** Checks the topic's part of the log: the newest events, without a hole. */
  check(events: readonly TrueEvent[], retained: number): void {
    const { topic } = this.#options
    const numbers = events.map(({ data }) => Number(data))
    const hole = numbers.findIndex((number, n) => n > 0 && number !== numbers[n - 1]! + 1)
    if (hole !== -1) this.#story.breaks(`${topic} has ${numbers[hole]!} after ${numbers[hole - 1]!}`)
    if (this.#next > 0 && this.#kept < this.#next && numbers.at(-1) !== this.#next - 1)
      this.#story.breaks(`${topic} ends with ${numbers.at(-1) ?? 'nothing'}, and ${this.#next - 1} was acknowledged`)
    const oldest = Math.max(this.#kept, this.#next - retained)
    if (this.#kept < this.#next && numbers[0]! > oldest)
      this.#story.breaks(`${topic} begins with ${numbers[0]!}, and ${oldest} has to be retained`)
    if (this.#options.purges === 'all' && this.#purged >= 0 && numbers[0]! <= this.#purged)
      this.#story.breaks(`${topic} has ${numbers[0]!}, and ${this.#purged} was purged`)
  }

  async #run(): Promise<void> {
    const { topic, each, purges } = this.#options
    while (!this.#isOver) {
      const events = Array.from({ length: each }, (_, n) => {
        const number = String(this.#next + n)
        return { topic, data: number, id: number }
      })
      while (!(await this.#publish(events)) && this.#story.violations.length === 0) await delay(AGAIN)
      this.#next += each
      await delay(this.#own.pick(PAUSES))
      if (purges !== false && this.#own.below(5) === 0) await this.#purge()
    }
  }

  async #publish(events: { topic: string; data: string; id: string }[]): Promise<boolean> {
    const { hubs, token } = this.#options
    const answer = await request<Published>(`${this.#own.pick(hubs).url}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      body: ndjson(events),
      signal: AbortSignal.timeout(TIME),
    }).catch(() => undefined)
    if (answer && answer.status >= 300 && answer.status !== 503)
      this.#story.breaks(`${this.#options.topic}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer?.status === 200
  }

  async #purge(): Promise<void> {
    const { hubs, token, topic } = this.#options
    for (;;) {
      const answer = await send(this.#own.pick(hubs), 'DELETE', `/topics/${topic}/events`, { token }).catch(
        () => undefined,
      )
      this.#kept = this.#next // an unanswered purge may have been carried out, or be carried out soon
      if (answer?.status === 200) break
      await delay(AGAIN)
    }
    this.#purged = this.#next - 1
    this.purges++
  }
}

/**
 * A gap notice stands before the part of the log that was read with it: events that are trimmed during the read may be
 * missing from the whole part, which has up to so many events.
 */
const NOTICE = 1_000

/** The times for which a subscriber is away, in milliseconds. */
const ABSENCES = [0, 100, 2_000, 6_000]

/** A subscriber of a numbered topic, which is away from time to time. */
export class AbsentSubscriber extends Subscriber {
  protected override async use(connection: Connection): Promise<void> {
    await super.use(connection)
    connection.stream.destroy()
    if (!this.isOver) await delay(this.own.pick(ABSENCES))
  }

  /** Checks what was read. Returns the number of gaps that were told. */
  check(): number {
    let gaps = 0
    let last = -1
    let position = 0
    let told = NOTICE // nothing is said of what was trimmed before the first connection
    for (const { stream, place, after } of this.connections) {
      for (const { type, id, data } of stream.all) {
        if (type === 'fanfare.gap') {
          gaps++
          told = NOTICE
        }
        if (id === undefined || type?.startsWith('fanfare.')) continue
        const number = Number(JSON.parse(data))
        const words = `${this.name} at ${place}, after ${after}: ${number} (${id}) after ${last} (${position})`
        if (number <= last || sequence(id) <= position) this.story.breaks(`${words} is out of order`)
        else if (number > last + 1 && told <= 0) this.story.breaks(`${words}, and no gap was told`)
        told--
        last = number
        position = sequence(id)
      }
    }
    return gaps
  }
}
