/** Publishers that publish in every way at random hubs, and the receipts that they get. */
import { setTimeout as delay } from 'node:timers/promises'
import { request, type Answer, type Published } from '../http.js'
import { ndjson } from '../ndjson.js'
import { sequence } from '../oracle.js'
import { random, type Random } from '../random.js'
import type { HubPlace } from './places.js'
import type { Span, Story } from './story.js'

/** An event to publish. Its data is unique in the run. */
export interface Sent {
  topic: string
  type?: string
  data: string
  id?: string
  ephemeral?: true
}

/** One request of an operation. */
export interface Attempt {
  at: number
  until: number
  place: string
  outcome: string
}

/** Events that were published together. */
export interface Operation {
  kind: Kind
  events: readonly Sent[]
  attempts: Attempt[]
  /** The sequence of each event as its receipt says; `undefined`: the receipt does not name it. */
  receipt?: (number | undefined)[]
}

export type Kind =
  'single' | 'anonymous' | 'batch' | 'anonymous batch' | 'mixed batch' | 'upload' | 'race' | 'repeat' | 'ephemeral'

export interface LoadOptions {
  hubs: readonly HubPlace[]
  topics: readonly string[]
  token: string
  seed: number
  publishers: number
  /** The longest time that a hub may take to answer a request that it cannot carry out, in milliseconds. */
  patience: number
}

interface UploadReceipt {
  accepted: number
  duplicates: number
  lastId: string | null
}

const KINDS: readonly Kind[] = [
  ...(['single', 'single', 'single', 'single', 'anonymous', 'anonymous', 'batch', 'batch'] as const),
  ...(['anonymous batch', 'mixed batch', 'upload', 'race', 'repeat', 'ephemeral'] as const),
]
const TYPES = [undefined, undefined, 'created', 'changed']
/** The times between two operations of a publisher, in milliseconds. */
const PAUSES = [0, 2, 10, 30]
/** How much longer than `patience` an answer may take on a busy machine, in milliseconds. */
const SLACK = 6_000
/** Only ids this young are published again, in milliseconds: the deduplication window has two minutes. */
const YOUNG = 30_000
/** Pauses shorter than this are not recorded, in milliseconds. */
const LONG_PAUSE = 500

export class Load {
  readonly operations: Operation[] = []
  /** The times without any receipt. */
  readonly pauses: Span[] = []
  /** The number of events with a receipt. */
  acknowledged = 0
  /** The number of requests that had to be repeated. */
  repeated = 0
  readonly #options: LoadOptions
  readonly #story: Story
  #isOver = false
  #lastReceipt = 0
  #running: Promise<void>[] = []

  constructor(options: LoadOptions, story: Story) {
    this.#options = options
    this.#story = story
  }

  begin(): void {
    this.#lastReceipt = this.#story.now()
    this.#running = Array.from({ length: this.#options.publishers }, (_, n) => this.#publish(n))
  }

  /** The time since the last receipt, in milliseconds. */
  get silence(): number {
    return this.#story.now() - this.#lastReceipt
  }

  /** Ends the publishers. Resolves when each has its receipt. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#running)
  }

  async #publish(n: number): Promise<void> {
    const own = random(this.#options.seed + 7 * n + 1)
    for (let count = 0; !this.#isOver; count++) {
      const kind = own.pick(KINDS)
      const operation = this.#prepare(kind, `p${n}-${count}`, own)
      if (operation) {
        this.operations.push(operation)
        await this.#carryOut(operation, own)
      }
      await delay(own.pick(PAUSES))
    }
  }

  #prepare(kind: Kind, name: string, own: Random): Operation | undefined {
    const { topics } = this.#options
    const event = (part: number): Sent => {
      const data = `${name}-${part}`
      const type = own.pick(TYPES)
      const topic = own.pick(topics)
      const isAnonymous = kind === 'anonymous' || kind === 'anonymous batch' || kind === 'ephemeral'
      return {
        topic,
        data,
        ...(type === undefined ? {} : { type }),
        ...(isAnonymous ? {} : { id: data }),
        ...(kind === 'ephemeral' ? { ephemeral: true as const } : {}),
      }
    }
    const several = (limit: number) => Array.from({ length: 2 + own.below(limit) }, (_, part) => event(part))
    const begun = (events: readonly Sent[]): Operation => ({ kind, events, attempts: [] })
    switch (kind) {
      case 'batch':
      case 'anonymous batch':
        return begun(several(12))
      case 'upload':
        return begun(several(own.pick([5, 60, 300])))
      case 'mixed batch': {
        const known = this.#knownEvent(own)
        return known && begun([event(0), known, event(1), event(2)])
      }
      case 'repeat': {
        const known = this.#knownEvent(own)
        return known && begun([known])
      }
      default:
        return begun([event(0)])
    }
  }

  /** Returns a recent event with an id and a receipt. */
  #knownEvent(own: Random): Sent | undefined {
    const recent = this.operations.slice(-60).filter(({ kind, receipt, attempts }) => {
      const isYoung = (attempts[0]?.at ?? 0) > this.#story.now() - YOUNG
      return receipt && isYoung && (kind === 'single' || kind === 'batch')
    })
    return recent.length === 0 ? undefined : own.pick(own.pick(recent).events)
  }

  async #carryOut(operation: Operation, own: Random): Promise<void> {
    const { kind } = operation
    const isRepeatable = operation.events.every(({ id }) => id !== undefined)
    while (this.#story.violations.length === 0) {
      const receipt = await (kind === 'race' ? this.#race(operation, own) : this.#attempt(operation, own))
      if (receipt) return this.#acknowledge(operation, receipt)
      if (!isRepeatable) return
      this.repeated++
      await delay(10)
    }
  }

  #acknowledge(operation: Operation, receipt: (number | undefined)[]): void {
    operation.receipt = receipt
    const now = this.#story.now()
    if (operation.kind === 'ephemeral') return
    this.acknowledged += operation.events.length
    if (now - this.#lastReceipt > LONG_PAUSE) this.pauses.push({ from: this.#lastReceipt, until: now })
    this.#lastReceipt = now
  }

  /** Publishes one event at two hubs at the same time. */
  async #race(operation: Operation, own: Random): Promise<(number | undefined)[] | undefined> {
    const answers = await Promise.all([
      this.#ask<Published>(operation, this.#pick(own)),
      this.#ask<Published>(operation, this.#pick(own)),
    ])
    const [one, other] = answers.filter((answer) => answer !== undefined)
    if (!one) return undefined
    if (other && one.body.id !== other.body.id)
      this.#breaks(operation, `has two cursors: ${one.body.id} and ${other.body.id}`)
    if (other && !one.body.duplicate && !other.body.duplicate) this.#breaks(operation, 'is answered twice as new')
    return [sequence(one.body.id)]
  }

  async #attempt(operation: Operation, own: Random): Promise<(number | undefined)[] | undefined> {
    const place = this.#pick(own)
    const { kind, events } = operation
    if (kind === 'upload') {
      const answer = await this.#ask<UploadReceipt>(operation, place)
      return answer && this.#uploaded(operation, answer.body)
    }
    if (events.length > 1) {
      const answer = await this.#ask<{ events: Published[] }>(operation, place)
      return answer && this.#batched(operation, answer.body.events)
    }
    const answer = await this.#ask<Omit<Published, 'id'> & { id: string | null }>(operation, place)
    if (!answer) return undefined
    const { id, duplicate } = answer.body
    if (kind === 'ephemeral') return answer.status === 202 && id === null ? [undefined] : this.#wrong(operation, answer)
    if (id === null) return this.#wrong(operation, answer)
    if (answer.status !== (duplicate ? 200 : 201)) return this.#wrong(operation, answer)
    if (duplicate && kind === 'anonymous') return this.#wrong(operation, answer)
    if (kind === 'repeat' && !duplicate) this.#breaks(operation, `is stored again as ${id}`)
    return [sequence(id)]
  }

  /** Picks a hub, mostly one that runs, as a load balancer does. */
  #pick(own: Random): HubPlace {
    const { hubs } = this.#options
    const up = hubs.filter(({ state }) => state === 'up')
    return own.pick(up.length > 0 && own.below(4) > 0 ? up : hubs)
  }

  #uploaded(operation: Operation, { accepted, lastId }: UploadReceipt): (number | undefined)[] {
    const { events } = operation
    if (accepted !== events.length) this.#breaks(operation, `has ${events.length} lines, and ${accepted} are accepted`)
    return [...new Array<undefined>(events.length - 1), sequence(lastId ?? '')]
  }

  /** Checks the receipt of a batch: new events have consecutive sequences. */
  #batched(operation: Operation, published: Published[]): number[] {
    const { kind, events } = operation
    const receipt = published.map(({ id }) => sequence(id))
    if (receipt.length !== events.length || published.some(({ topic }, n) => topic !== events[n]!.topic))
      this.#breaks(operation, `gets the receipt ${JSON.stringify(published)}`)
    const own = kind === 'mixed batch' ? [0, 2, 3] : events.map((_, n) => n)
    const first = receipt[own[0]!]!
    if (own.some((index, n) => receipt[index] !== first + n))
      this.#breaks(operation, `has the sequences ${receipt.join(', ')}`)
    if (new Set(own.map((index) => published[index]!.duplicate)).size !== 1)
      this.#breaks(operation, `was stored in part: ${JSON.stringify(published)}`)
    if (kind === 'mixed batch' && !published[1]!.duplicate) this.#breaks(operation, 'stores a known event again')
    return receipt
  }

  /** @returns the answer of a hub that has accepted the events; `undefined`: the hub has refused or not answered */
  async #ask<Body>(operation: Operation, place: HubPlace): Promise<Answer<Body> | undefined> {
    const at = this.#story.now()
    const most = this.#options.patience + SLACK
    const note = (outcome: string): void => {
      operation.attempts.push({ at, until: this.#story.now(), place: place.name, outcome })
    }
    let answer: Answer<Body>
    try {
      answer = await request<Body>(...this.#toRequest(operation, place.url, AbortSignal.timeout(most)))
    } catch (err) {
      const { name, message, cause } = err as Error & { cause?: { code?: string } }
      note(cause?.code ?? `${name}: ${message}`)
      if (name === 'TimeoutError' && !place.wasDisturbed(at)) this.#breaks(operation, `gets no answer for ${most} ms`)
      return undefined
    }
    note(String(answer.status))
    if (answer.status < 300) return answer
    if (answer.status !== 503) this.#wrong(operation, answer)
    else if (!answer.headers.has('retry-after')) this.#breaks(operation, 'is refused without Retry-After')
    return undefined
  }

  #toRequest({ kind, events }: Operation, url: string, signal: AbortSignal): [url: string, init: RequestInit] {
    const init = (body: string, type: string): RequestInit => ({
      method: 'POST',
      headers: { authorization: `Bearer ${this.#options.token}`, 'content-type': type },
      body,
      signal,
    })
    if (kind === 'upload') return [`${url}/events`, init(ndjson(events), 'application/x-ndjson')]
    if (events.length > 1) return [`${url}/events`, init(JSON.stringify({ events }), 'application/json')]
    const { topic, ...event } = events[0]!
    return [`${url}/topics/${topic}/events`, init(JSON.stringify(event), 'application/json')]
  }

  #wrong(operation: Operation, { status, body }: Answer): undefined {
    this.#breaks(operation, `is answered with ${status} ${JSON.stringify(body)}`)
  }

  #breaks(operation: Operation, text: string): void {
    const { kind, events, attempts } = operation
    const tried = attempts.map(({ at, place, outcome }) => `${Math.round(at)} ${place} ${outcome}`).join('; ')
    this.#story.breaks(`${kind} ${events[0]!.data} ${text} (attempts: ${tried})`)
  }
}
