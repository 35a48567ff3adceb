/** Subscribers whose tokens expire or are revoked: no hub may serve their streams afterwards. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { request, send } from '../http.js'
import { random, type Random } from '../random.js'
import { openStream, streamUrl, type EventStream } from '../stream.js'
import { token } from '../token.js'
import type { HubPlace, Place } from './places.js'
import type { Story } from './story.js'

export interface GuestOptions {
  hubs: readonly HubPlace[]
  topics: readonly string[]
  seed: number
  /** The servers of which a hub learns of a revocation. A hub that is cut off from them learns of it afterwards. */
  servers: readonly Place[]
}

/** The promised time until a stream ends, and the allowance for a busy machine; in milliseconds. */
const PROMISED = 1_000
const SLACK = 3_000
/** The time between two attempts, in milliseconds. */
const AGAIN = 50
/** The number of hubs that a guest has streams of. */
const STREAMS = 2
/** The times until a token ends, in milliseconds. */
const LIVES = [1_500, 3_000]
/** After the fault of a server a hub may be cut off for so long, in milliseconds. */
const ELECTION = 15_000
/** The time limit for a hub to reach the servers again after the end of a token, in milliseconds. */
const REUNION = 60_000

type End = 'expired' | 'revoked'

const admin = token({ sub: 'root', admin: true })

export class Guests {
  /** The number of streams that ended with their tokens, and the longest time that one took; in milliseconds. */
  ended = 0
  longest = 0
  readonly #t: Test
  readonly #options: GuestOptions
  readonly #story: Story
  #isOver = false
  #running: Promise<void>[] = []

  constructor(t: Test, options: GuestOptions, story: Story) {
    this.#t = t
    this.#options = options
    this.#story = story
  }

  begin(): void {
    const { seed } = this.#options
    this.#running = [this.#run('expired', random(seed)), this.#run('revoked', random(seed + 1))]
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  async #run(how: End, own: Random): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const subject = `${how}-${n}`
      const life = own.pick(LIVES)
      const end = Date.now() + life
      const exp = how === 'expired' ? { exp: end / 1_000 } : {}
      const bearer = token({ sub: subject, subscribe: [...this.#options.topics], ...exp })
      const guests = await Promise.all(Array.from({ length: STREAMS }, () => this.#visit(bearer, own)))
      await delay(Math.max(0, end - Date.now()))
      if (how === 'revoked' && !(await this.#revoke(subject, own))) return
      const due = this.#story.now()
      await Promise.all(guests.flatMap((guest) => (guest ? [this.#leaves(guest, subject, how, due)] : [])))
      if (how === 'revoked') await this.#staysOut(bearer, subject, own, due)
    }
  }

  async #visit(bearer: string, own: Random): Promise<{ place: HubPlace; stream: EventStream } | undefined> {
    const place = own.pick(this.#options.hubs)
    try {
      return { place, stream: await openStream(this.#t, streamUrl(place, this.#options.topics), { token: bearer }) }
    } catch {
      return undefined // the hub is down, or the token has expired while it was frozen
    }
  }

  /** Revokes the tokens of a subject. @returns `false`: the run is over */
  async #revoke(subject: string, own: Random): Promise<boolean> {
    const body = { subject, until: new Date(Date.now() + 600_000).toISOString() }
    while (!this.#isOver) {
      const place = own.pick(this.#options.hubs)
      const answer = await send(place, 'POST', '/revocations', { token: admin, body }).catch(() => undefined)
      if (answer?.status === 201) return true
      if (answer && answer.status !== 503)
        this.#story.breaks(`a revocation at ${place.name} is answered with ${answer.status}`)
      await delay(AGAIN)
    }
    return false
  }

  async #leaves(
    { place, stream }: { place: HubPlace; stream: EventStream },
    subject: string,
    how: End,
    due: number,
  ): Promise<void> {
    const leaving = () => Promise.race([stream.closed, delay(PROMISED + SLACK)])
    let from = due
    await leaving()
    if (!stream.isClosed && how === 'revoked' && this.#mayLag(due) && (await this.#learns(place, due))) {
      from = this.#story.now()
      await leaving()
    }
    const time = this.#story.now() - from
    const isFair = !place.wasDisturbed(due)
    if (!stream.isClosed && isFair)
      this.#story.breaks(`${place.name} still has a stream of ${subject} after ${time} ms`)
    if (stream.isClosed && isFair) {
      this.ended++
      this.longest = Math.max(this.longest, time)
    }
    stream.destroy()
  }

  /** Checks that a hub refuses a revoked token. */
  async #staysOut(bearer: string, subject: string, own: Random, revoked: number): Promise<void> {
    const place = own.pick(this.#options.hubs)
    const url = streamUrl(place, this.#options.topics, { limit: '1' })
    const read = () =>
      request(url, {
        headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
        signal: AbortSignal.timeout(5_000),
      }).catch(() => undefined)
    let answer = await read()
    if (answer && answer.status !== 401 && this.#mayLag(revoked) && (await this.#learns(place, revoked)))
      answer = await read()
    if (answer && answer.status !== 401 && !place.wasDisturbed(revoked))
      this.#story.breaks(`${place.name} answers ${answer.status} to the revoked token of ${subject}`)
  }

  /** Whether a hub may be cut off from the servers. */
  #mayLag(since: number): boolean {
    return this.#options.servers.some((server) => server.wasDisturbed(since - ELECTION))
  }

  /**
   * Waits until a hub has every record of the servers: a request for a topic reads its properties, which are a record.
   * @returns `false`: the hub was disturbed since `since`
   */
  async #learns(place: HubPlace, since: number): Promise<boolean> {
    const [topic] = this.#options.topics as [string]
    for (const end = this.#story.now() + REUNION; !place.wasDisturbed(since);) {
      const answer = await send(place, 'GET', `/topics/${topic}`, { token: admin }).catch(() => undefined)
      if (answer && answer.status < 500) return true
      if (this.#story.now() > end) {
        this.#story.breaks(`${place.name} does not reach its servers`)
        return false
      }
      await delay(AGAIN)
    }
    return false
  }
}
