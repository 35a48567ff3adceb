/** A session with the hub that outlives its tokens. */
import { ask } from '../shared/ask.js'
import type { Login } from './server.js'

export interface SessionEvents {
  /** @param end when the new token ends, on the clock of `performance.now()`: its lifetime counts from when it came */
  onToken: (end: number) => void
  /** The stream that is open has been given the new token too. */
  onRenewed: () => void
  /** It is tried again soon, until the token has ended. */
  onFailure: (reason: string) => void
}

/** A token is renewed after this part of its life, and after a failure this part later again. */
const RENEW = 1 / 2
const RETRY = 1 / 10

export class Session {
  /** The stream that is open: it is given each new token. One that is opened later has the cookie's. */
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

  /** Logs in, has the hub put the token into its cookie, and renews it in time. */
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
        // or the stream has ended too, and begins again
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
