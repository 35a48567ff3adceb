/** One event stream whose topics change while it is open. */
import { ask, Refusal } from '../shared/ask.js'
import { openStream, type StreamOptions } from '../shared/stream.js'

/** The current connection of the stream. */
export interface Connection {
  id: string
  topics: ReadonlySet<string>
  /** The number of changes of the topics since the stream was opened. */
  changes: number
}

export interface TopicStreamOptions extends Pick<StreamOptions, 'on' | 'onStatus'> {
  hub: string
  /** The topic in the URL, which is always subscribed: a stream needs at least one topic. */
  always: string
  onConnection: (connection: Connection) => void
  /** Called with topics that the hub refuses. They are not requested again. */
  onRefusal: (topics: string[], reason: string) => void
}

interface Change {
  subscribe?: string[]
  unsubscribe?: string[]
  replay?: number
}

/** The delay before a failed request is repeated, in milliseconds. */
const RETRY = 1_000
/** The statuses of a final refusal of PATCH. Any other failure may be temporary. */
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
        if (status !== 'live') this.#connection = undefined // the next stream is another connection
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
   * Handles the first block of a connection. Its topics are those of the URL, also after a reconnect, so the other
   * topics have to be added again.
   */
  #opened({ connection: id, topics }: { connection: string; topics: string[] }): void {
    if (this.#connection?.id === id) return // the block follows a change, which the answer to PATCH has reported too
    this.#holds({ id, topics: new Set(topics), changes: 0 })
    void this.#reconcile()
  }

  #holds(connection: Connection): void {
    this.#connection = connection
    this.#options.onConnection(connection)
  }

  /** Adds missing topics to the connection and removes unwanted topics, one change after the other. */
  async #reconcile(): Promise<void> {
    if (this.#isChanging) return
    this.#isChanging = true
    for (let change = this.#difference(); change; change = this.#difference()) await this.#change(change)
    this.#isChanging = false
  }

  #difference(): Change | undefined {
    if (!this.#connection) return undefined // the next connection begins with `#opened`
    const { topics } = this.#connection
    const missing = [...this.#wanted].find((topic) => !topics.has(topic))
    // one topic per request, since `replay` counts over all topics of a request
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
      if (this.#connection !== connection) return // the connection was lost meanwhile
      if (change.subscribe && err instanceof Refusal && FINAL.includes(err.status))
        this.#refused(change.subscribe, err.message)
      // the `EventSource` notices a lost connection meanwhile
      else await new Promise((resolve) => setTimeout(resolve, RETRY))
    }
  }

  #refused(topics: string[], reason: string): void {
    for (const topic of topics) this.#wanted.delete(topic)
    this.#options.onRefusal(topics, reason)
  }
}

/** Stores a token in the browser's cookie, since an `EventSource` cannot send a header. */
async function beginSession(hub: string): Promise<void> {
  const { token } = await ask<{ token: string }>('token')
  await ask(`${hub}/sessions`, { token, credentials: 'include' })
}
