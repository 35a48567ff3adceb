/** A client of the hub for an example's server. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createSigner } from 'fast-jwt'

/** The grants of a token (docs/api.md, "Tokens"). */
export interface Grants {
  sub?: string
  subscribe?: string[]
  publish?: string[]
  presence?: string[]
  info?: unknown
}

export type NewEvent = ({ data: unknown } | { text: string }) & { type?: string; id?: string; ephemeral?: boolean }

export interface Published {
  id: string | null
  duplicate: boolean
  subscribers: number
}

/** A refusal of the hub (RFC 9457). If the hub was unreachable during the whole wait, `statusCode` is 503. */
export class HubRefusal extends Error {
  override name = 'HubRefusal'
  readonly statusCode: number

  constructor(statusCode: number, detail: string) {
    super(detail)
    this.statusCode = statusCode
  }
}

/** An event as a page of history has it. */
export interface StoredEvent {
  id: string
  topic: string
  type?: string
  /** RFC 3339 */
  time: string
  data?: unknown
  text?: string
}

/** How long a request is repeated while the hub is not available. */
export interface Waiting {
  /** In milliseconds; default: 5,000. */
  maxWait?: number
  /** Ends the wait after the current try. The request rejects with an AbortError. */
  signal?: AbortSignal
}

/**
 * The delay before the next try, the time limit of a try, and the default of `maxWait`, in milliseconds. A hub that
 * hangs counts as unreachable.
 */
const RETRY = 250
const LIMIT = 2_000
const MAX_WAIT = 5_000

/** Publishes to a hub with a token. */
export class HubPublisher {
  readonly url: string
  readonly #bearer: string

  /** @param url without a slash at the end */
  constructor(url: string, bearer: string) {
    this.url = url
    this.#bearer = bearer
  }

  /**
   * Publishes an event, and repeats the request while the hub is not available, for example during a restart. A stored
   * event has a publisher id, so that it is stored once.
   * @throws HubRefusal
   */
  publish(topic: string, event: NewEvent, waiting?: Waiting): Promise<Published> {
    const body = JSON.stringify(event.ephemeral ? event : { id: randomUUID(), ...event })
    return this.#ask(
      `topics/${encodeURIComponent(topic)}/events`,
      { method: 'POST', body, headers: { 'content-type': 'application/json' } },
      waiting,
    )
  }

  /**
   * Returns the newest events of a topic, oldest first.
   * @throws HubRefusal
   */
  async last(topic: string, count: number, waiting?: Waiting): Promise<StoredEvent[]> {
    const { events } = await this.#ask<{ events: StoredEvent[] }>(
      `topics/${encodeURIComponent(topic)}/events?last=${count}`,
      { headers: { accept: 'application/json' } },
      waiting,
    )
    return events
  }

  /**
   * Returns the status of the hub, with the number of open streams (`clients`). Does not wait for an unavailable hub.
   * @throws HubRefusal
   */
  status(): Promise<{ clients: number }> {
    return this.#ask('status', { headers: {} }, { maxWait: 0 })
  }

  async #ask<Answer>(
    path: string,
    init: { method?: string; body?: string; headers: Record<string, string> },
    { maxWait = MAX_WAIT, signal }: Waiting = {},
  ): Promise<Answer> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#bearer}` }
    const until = performance.now() + maxWait
    for (;;) {
      // Not combined with `signal` by `AbortSignal.any`: Node.js 20 garbage-collects a timeout that only such a signal
      // references.
      const response = await fetch(`${this.url}/${path}`, {
        ...init,
        headers,
        signal: AbortSignal.timeout(LIMIT),
      }).catch(() => undefined)
      const answer: unknown = await response?.json().catch(() => undefined) // the answer may break off
      if (response?.ok && answer !== undefined) return answer as Answer
      const detail = response && !response.ok ? detailOf(response, answer) : 'The hub cannot be reached.'
      if (response && !response.ok && response.status !== 429 && response.status !== 503)
        throw new HubRefusal(response.status, detail)
      if (performance.now() > until) throw new HubRefusal(503, detail)
      await delay(RETRY, undefined, signal ? { signal } : {})
    }
  }
}

/** Publishes to a hub, and signs tokens with the hub's secret. */
export class HubClient extends HubPublisher {
  /** The URL of the hub for browsers. */
  readonly publicUrl: string
  readonly #secret: string

  /** @param url without a slash at the end */
  constructor(url: string, secret: string, publicUrl = url) {
    super(url, sign(secret, { subscribe: ['**'], publish: ['**'] })) // valid as long as the secret
    this.publicUrl = publicUrl
    this.#secret = secret
  }

  /**
   * Returns a token for a visitor.
   * @param lifetime in milliseconds
   */
  token(grants: Grants, lifetime = 60 * 60_000): string {
    return sign(this.#secret, grants, lifetime)
  }
}

function sign(key: string, { sub, ...fanfare }: Grants, expiresIn?: number): string {
  return createSigner({ key, algorithm: 'HS256', ...(expiresIn === undefined ? {} : { expiresIn }) })({
    ...(sub === undefined ? {} : { sub }),
    fanfare,
  })
}

/** Returns the detail of a refusal (RFC 9457). */
function detailOf({ status }: Response, problem: unknown): string {
  return (problem as { detail?: string } | undefined)?.detail ?? `The hub answered ${status}.`
}
