/** One event stream whose topics change while it is open. */
import { watch, type Status } from '../shared/status.js'

/** What the stream is on now. */
export interface Connection {
  id: string
  topics: ReadonlySet<string>
  /** How often its topics have been changed since it was opened. */
  changes: number
}

export interface TopicStreamEvents {
  /** There is an `EventSource` to listen to: the first, or one in the place of another that the hub had refused. */
  onSource: (source: EventSource) => void
  onStatus: (status: Status) => void
  onConnection: (connection: Connection) => void
  /** Why nothing comes now; it is tried again. `undefined`: that is over. */
  onTrouble: (reason: string | undefined) => void
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
  readonly #hub: string
  /** What its URL asks for, and so whatever it is on: a stream has to begin with something. */
  readonly #always: string
  readonly #events: TopicStreamEvents
  readonly #wanted = new Set<string>()
  #connection: Connection | undefined
  #isChanging = false

  constructor(hub: string, always: string, events: TopicStreamEvents) {
    this.#hub = hub
    this.#always = always
    this.#events = events
    void this.#open()
  }

  add(topic: string): void {
    this.#wanted.add(topic)
    void this.#reconcile()
  }

  remove(topic: string): void {
    this.#wanted.delete(topic)
    void this.#reconcile()
  }

  async #open(): Promise<void> {
    const { onSource, onStatus, onTrouble } = this.#events
    onStatus('connecting')
    for (;;) {
      const trouble = await beginSession(this.#hub).then(() => undefined, reasonOf)
      onTrouble(trouble)
      if (trouble === undefined) break
      await delay(RETRY)
    }
    const source = new EventSource(`${this.#hub}/topics/${this.#always}/events?replay=1`, { withCredentials: true })
    watch(source, onStatus)
    source.addEventListener('fanfare.open', (event: MessageEvent<string>) => this.#opened(JSON.parse(event.data) as { connection: string; topics: string[] }))
    source.addEventListener('error', () => {
      this.#connection = undefined // whatever follows is another one
      if (source.readyState === EventSource.CLOSED) void delay(RETRY).then(() => this.#open()) // refused: the session is over
    })
    onSource(source)
  }

  /** A connection's first block. Its topics are those of the URL, also after a reconnect: what else is wanted has to be added again. */
  #opened({ connection: id, topics }: { connection: string; topics: string[] }): void {
    if (this.#connection?.id === id) return // after a change, which PATCH has answered too
    this.#holds({ id, topics: new Set(topics), changes: 0 })
    void this.#reconcile()
  }

  #holds(connection: Connection): void {
    this.#connection = connection
    this.#events.onConnection(connection)
  }

  /** Gives the connection what is wanted and it does not have, and takes from it what is not; one change after the other. */
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
    if (missing !== undefined) return { subscribe: [missing], replay: 1 } // each by itself: `replay` counts over all that are added at once
    const unsubscribe = [...topics].filter((topic) => topic !== this.#always && !this.#wanted.has(topic))
    return unsubscribe.length > 0 ? { unsubscribe } : undefined
  }

  async #change(change: Change): Promise<void> {
    const connection = this.#connection!
    const { id, changes } = connection
    const response = await fetch(`${this.#hub}/connections/${id}`, {
      method: 'PATCH',
      body: JSON.stringify(change),
      headers: { 'content-type': 'application/json' },
      credentials: 'include',
    }).catch(() => undefined)
    const answer = (await response?.json().catch(() => undefined)) as { topics?: string[]; detail?: string } | undefined
    if (this.#connection !== connection) return // it has been lost meanwhile
    if (response?.ok && answer?.topics) this.#holds({ id, topics: new Set(answer.topics), changes: changes + 1 })
    else if (change.subscribe && FINAL.includes(response?.status ?? 0)) this.#refused(change.subscribe, answer?.detail ?? 'The hub refuses it.')
    else await delay(RETRY) // a lost connection is noticed meanwhile, by the source
  }

  #refused(topics: string[], reason: string): void {
    for (const topic of topics) this.#wanted.delete(topic)
    this.#events.onRefusal(topics, reason)
  }
}

/** Puts a token into the browser's cookie: an `EventSource` can send no header. */
async function beginSession(hub: string): Promise<void> {
  const { token } = (await (await ask('token', { method: 'POST' })).json()) as { token: string }
  await ask(`${hub}/sessions`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, credentials: 'include' })
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch(() => undefined)
  if (response?.ok) return response
  const problem = (await response?.json().catch(() => undefined)) as { detail?: string } | undefined
  throw new Error(problem?.detail ?? 'The hub cannot be reached.')
}

function reasonOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
