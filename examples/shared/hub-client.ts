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

/** The hub refused something (RFC 9457), or could not be reached for as long as was waited: then `statusCode` is 503. */
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
  /** Ends the waiting: what is waited for is rejected with an AbortError. */
  signal?: AbortSignal
}

/** How long is waited before the next try, in milliseconds. */
const RETRY = 250
const PATIENCE = 5_000

export class HubClient {
  readonly url: string
  /** Where browsers find the hub. */
  readonly publicUrl: string
  readonly #sign: (payload: object, lifetime: number) => string
  readonly #bearer: string

  /** @param url without a slash at the end */
  constructor(url: string, secret: string, publicUrl = url) {
    this.url = url
    this.publicUrl = publicUrl
    this.#sign = (payload, lifetime) => createSigner({ key: secret, algorithm: 'HS256', expiresIn: lifetime })(payload)
    this.#bearer = this.token({ subscribe: ['**'], publish: ['**'] }, 24 * 60 * 60_000)
  }

  /**
   * A token for a visitor.
   * @param lifetime in milliseconds
   */
  token({ sub, ...fanfare }: Grants, lifetime = 60 * 60_000): string {
    return this.#sign({ ...(sub === undefined ? {} : { sub }), fanfare }, lifetime)
  }

  /**
   * Publishes an event. While the hub cannot take it (it is being restarted, say) it is tried again; what is kept has
   * an id of its own, so it is never there twice.
   * @throws HubRefusal
   */
  publish(topic: string, event: NewEvent, waiting?: Waiting): Promise<Published> {
    const body = JSON.stringify(event.ephemeral ? event : { id: randomUUID(), ...event })
    return this.#ask(`topics/${encodeURIComponent(topic)}/events`, { method: 'POST', body, headers: { 'content-type': 'application/json' } }, waiting)
  }

  /**
   * The newest events of a topic, oldest first.
   * @throws HubRefusal
   */
  async last(topic: string, count: number, waiting?: Waiting): Promise<StoredEvent[]> {
    const { events } = await this.#ask<{ events: StoredEvent[] }>(`topics/${encodeURIComponent(topic)}/events?last=${count}`, { headers: { accept: 'application/json' } }, waiting)
    return events
  }

  /**
   * How the hub is, and how many streams are open (`clients`). It is not waited for.
   * @throws HubRefusal
   */
  status(): Promise<{ clients: number }> {
    return this.#ask('status', { headers: {} }, { patience: 0 })
  }

  async #ask<Answer>(path: string, init: { method?: string; body?: string; headers: Record<string, string> }, { patience = PATIENCE, signal }: Waiting = {}): Promise<Answer> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#bearer}` }
    const until = Date.now() + patience
    for (;;) {
      const response = await fetch(`${this.url}/${path}`, { ...init, headers }).catch(() => undefined)
      if (response?.ok) return (await response.json()) as Answer
      const detail = response ? await detailOf(response) : 'The hub cannot be reached.'
      if (response && response.status !== 429 && response.status !== 503) throw new HubRefusal(response.status, detail)
      if (Date.now() > until) throw new HubRefusal(503, detail)
      await delay(RETRY, undefined, signal ? { signal } : {})
    }
  }
}

async function detailOf(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => ({}))) as { detail?: string }
  return problem.detail ?? `The hub answered ${response.status}.`
}
