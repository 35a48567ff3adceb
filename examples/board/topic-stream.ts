/** One event stream whose topics change while it is open. */
import { ask, Refusal } from '../shared/ask.js'
import { openStream, type StreamOptions } from '../shared/stream.js'

/** What the stream is on now. */
export interface Connection {
  id: string
  topics: ReadonlySet<string>
  /** How often its topics have been changed since it was opened. */
  changes: number
}

export interface TopicStreamOptions extends Pick<StreamOptions, 'on' | 'onStatus'> {
  hub: string
  /** What its URL asks for, and so whatever it is on: a stream has to begin with something. */
  always: string
  onConnection: (connection: Connection) => void
  /** Topics that the hub does not give, and which are not asked for any more. */
  onRefusal: (topics: string[], reason: string) => void
}

interface Change {
  subscribe?: string[]
  unsubscribe?: string[]
  replay?: number
}

/** Until something that has failed is tried again, in milliseconds. */
const RETRY = 1_000
/** PATCH is refused for good: with anything else it may be better next time. */
const FINAL = [400, 403]

export class TopicStream {
  readonly #options: TopicStreamOptions
  readonly #wanted = new Set<string>()
  #connection: Connection | undefined
  #isChanging = false

  constructor(options: TopicStreamOptions) {
    this.#options = options
    const { hub, always, on, onStatus } = options
    openStream({
      url: async () => {
        await beginSession(hub)
        return `${hub}/topics/${always}/events?replay=1`
      },
      withCredentials: true,
      on: {
        ...on,
        'fanfare.open': ({ data }) => this.#opened(JSON.parse(data) as { connection: string; topics: string[] }),
      },
      onStatus: (status, reason) => {
        if (status !== 'live') this.#connection = undefined // whatever follows is another one
        onStatus(status, reason)
      },
    })
  }

  add(topic: string): void {
    this.#wanted.add(topic)
    void this.#reconcile()
  }

  remove(topic: string): void {
    this.#wanted.delete(topic)
    void this.#reconcile()
  }

  /**
   * A connection's first block. Its topics are those of the URL, also after a reconnect: what else is wanted has to be
   * added again.
   */
  #opened({ connection: id, topics }: { connection: string; topics: string[] }): void {
    if (this.#connection?.id === id) return // after a change, which PATCH has answered too
    this.#holds({ id, topics: new Set(topics), changes: 0 })
    void this.#reconcile()
  }

  #holds(connection: Connection): void {
    this.#connection = connection
    this.#options.onConnection(connection)
  }

  /**
   * Gives the connection what is wanted and it does not have, and takes from it what is not; one change after the
   * other.
   */
  async #reconcile(): Promise<void> {
    if (this.#isChanging) return
    this.#isChanging = true
    for (let change = this.#difference(); change; change = this.#difference()) await this.#change(change)
    this.#isChanging = false
  }

  #difference(): Change | undefined {
    if (!this.#connection) return undefined // the next one begins with `#opened`
    const { topics } = this.#connection
    const missing = [...this.#wanted].find((topic) => !topics.has(topic))
    // each by itself: `replay` counts over all that are added at once
    if (missing !== undefined) return { subscribe: [missing], replay: 1 }
    const unsubscribe = [...topics].filter((topic) => topic !== this.#options.always && !this.#wanted.has(topic))
    return unsubscribe.length > 0 ? { unsubscribe } : undefined
  }

  async #change(change: Change): Promise<void> {
    const connection = this.#connection!
    const { id, changes } = connection
    try {
      const { topics } = await ask<{ topics: string[] }>(`${this.#options.hub}/connections/${id}`, {
        method: 'PATCH',
        body: change,
        credentials: 'include',
      })
      if (this.#connection === connection) this.#holds({ id, topics: new Set(topics), changes: changes + 1 })
    } catch (err) {
      if (this.#connection !== connection) return // it has been lost meanwhile
      if (change.subscribe && err instanceof Refusal && FINAL.includes(err.status))
        this.#refused(change.subscribe, err.message)
      // a lost connection is noticed meanwhile, by the source
      else await new Promise((resolve) => setTimeout(resolve, RETRY))
    }
  }

  #refused(topics: string[], reason: string): void {
    for (const topic of topics) this.#wanted.delete(topic)
    this.#options.onRefusal(topics, reason)
  }
}

/** Puts a token into the browser's cookie: an `EventSource` can send no header. */
async function beginSession(hub: string): Promise<void> {
  const { token } = await ask<{ token: string }>('token')
  await ask(`${hub}/sessions`, { token, credentials: 'include' })
}
