/** A session with the hub that outlives its tokens. */
import { ask } from '../shared/ask.js'
import type { Login } from './server.js'

export interface SessionEvents {
  /** @param end the expiry of the new token, on the clock of `performance.now()`: the lifetime starts at its arrival */
  onToken: (end: number) => void
  /** Called when the open stream has the new token too. */
  onRenewed: () => void
  /** Called when a renewal has failed. The session retries soon, until the token expires. */
  onFailure: (reason: string) => void
}

/** The parts of a token's lifetime after which it is renewed, and after which a failed renewal is repeated. */
const RENEW = 1 / 2
const RETRY = 1 / 10

export class Session {
  /** The open stream, which gets each new token. Later streams use the token in the cookie. */
  connection: string | undefined
  readonly #hub: string
  readonly #user: string
  readonly #events: SessionEvents
  #lifetime = 0
  #end = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(hub: string, user: string, events: SessionEvents) {
    this.#hub = hub
    this.#user = user
    this.#events = events
  }

  /** Logs in, stores the token in the hub's cookie, and renews it in time. */
  async begin(): Promise<string> {
    const { token, lifetime } = await ask<Login>('login', { body: { user: this.#user } })
    await ask(`${this.#hub}/sessions`, { token, credentials: 'include' })
    this.#lifetime = lifetime
    this.#end = performance.now() + lifetime
    this.#renewIn(lifetime * RENEW)
    this.#events.onToken(this.#end)
    return token
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer)
    await ask(`${this.#hub}/sessions`, { method: 'DELETE', credentials: 'include' })
  }

  #renewIn(wait: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#renew().catch((err: unknown) => {
        // after the expiry, the stream ends and begins a new session
        if (performance.now() < this.#end) this.#renewIn(this.#lifetime * RETRY)
        this.#events.onFailure(err instanceof Error ? err.message : String(err))
      })
    }, wait)
  }

  async #renew(): Promise<void> {
    const token = await this.begin()
    if (this.connection === undefined) return
    await ask(`${this.#hub}/connections/${this.connection}/token`, { method: 'PUT', token })
    this.#events.onRenewed()
  }
}
