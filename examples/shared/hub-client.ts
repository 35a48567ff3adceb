/** The hub as an example's server sees it: an address, and a secret to sign tokens with. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createSigner } from 'fast-jwt'

/** What a token says of its bearer (docs/api.md, "Tokens"). */
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

/**
 * The hub refused something (RFC 9457), or could not be reached for as long as was waited: then `statusCode` is 503.
 */
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

/** For how long something is tried again while the hub cannot do it. */
export interface Waiting {
  /** In milliseconds, 5,000 unless said otherwise. */
  patience?: number
  /** Ends the waiting, after the try that is under way: what is waited for is rejected with an AbortError. */
  signal?: AbortSignal
}

/**
 * How long is waited before the next try, and how long a try may take, in milliseconds: a hub that hangs is as good as
 * none.
 */
const RETRY = 250
const LIMIT = 2_000
const PATIENCE = 5_000

/** A hub, and a token for it: enough to publish. */
export class HubPublisher {
  readonly url: string
  readonly #bearer: string

  /** @param url without a slash at the end */
  constructor(url: string, bearer: string) {
    this.url = url
    this.#bearer = bearer
  }

  /**
   * Publishes an event. While the hub cannot take it (it is being restarted, say) it is tried again; what is kept has
   * an id of its own, so it is never there twice.
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
   * The newest events of a topic, oldest first.
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
   * How the hub is, and how many streams are open (`clients`). It is not waited for.
   * @throws HubRefusal
   */
  status(): Promise<{ clients: number }> {
    return this.#ask('status', { headers: {} }, { patience: 0 })
  }

  async #ask<Answer>(
    path: string,
    init: { method?: string; body?: string; headers: Record<string, string> },
    { patience = PATIENCE, signal }: Waiting = {},
  ): Promise<Answer> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#bearer}` }
    const until = performance.now() + patience
    for (;;) {
      // Not `AbortSignal.any` with `signal` too: in Node.js 20 a timeout that only such a signal knows of is collected
      // before its time.
      const response = await fetch(`${this.url}/${path}`, {
        ...init,
        headers,
        signal: AbortSignal.timeout(LIMIT),
      }).catch(() => undefined)
      const answer: unknown = await response?.json().catch(() => undefined) // it may break off
      if (response?.ok && answer !== undefined) return answer as Answer
      const detail = response && !response.ok ? detailOf(response, answer) : 'The hub cannot be reached.'
      if (response && !response.ok && response.status !== 429 && response.status !== 503)
        throw new HubRefusal(response.status, detail)
      if (performance.now() > until) throw new HubRefusal(503, detail)
      await delay(RETRY, undefined, signal ? { signal } : {})
    }
  }
}

/** A hub, and its secret: it can give tokens to others. */
export class HubClient extends HubPublisher {
  /** Where browsers find the hub. */
  readonly publicUrl: string
  readonly #secret: string

  /** @param url without a slash at the end */
  constructor(url: string, secret: string, publicUrl = url) {
    super(url, sign(secret, { subscribe: ['**'], publish: ['**'] })) // good for as long as the secret is
    this.publicUrl = publicUrl
    this.#secret = secret
  }

  /**
   * A token for a visitor.
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

/** What a refusal says for people (RFC 9457). */
function detailOf({ status }: Response, problem: unknown): string {
  return (problem as { detail?: string } | undefined)?.detail ?? `The hub answered ${status}.`
}
