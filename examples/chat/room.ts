/**
 * A room: people are present on the topic `rooms.<room>`, and each publishes to `rooms.<room>.<name>`. A token grants
 * this for its own name only, so the topic proves the author. CloudEvents bring topic and time to the page.
 */
import { ask, Refusal, type Question } from '../shared/ask.js'
import type { Status } from '../shared/status.js'
import { openStream, type Stream } from '../shared/stream.js'
import type { Login } from './server.js'

export interface RoomEvents {
  onMessage: (author: string, text: string, time: Date) => void
  onTyping: (author: string) => void
  /** Called with the names of the present people. */
  onPeople: (names: string[]) => void
  onJoin: (name: string) => void
  onLeave: (name: string) => void
  onGap: (event: MessageEvent<string>) => void
  onStatus: (status: Status, reason?: string) => void
}

interface Present {
  subject: string
  info: { name: string } | null
}

interface CloudEvent<Data> {
  time: string
  /** The topic. */
  subject: string
  data: Data
}

/** The number of earlier messages that are shown at first. */
const REPLAY = 50
/**
 * How long joins and leaves are held back after a reconnect, in milliseconds. Other people who lost their streams
 * reconnect within the two to four seconds that the hub draws for each stream.
 */
const SETTLING = 6_000
/** The delay before a failed request for the present people is repeated, in milliseconds. */
const RETRY = 1_000

export class Room {
  readonly #hub: string
  readonly #name: string
  readonly #topic: string
  readonly #events: RoomEvents
  readonly #stream: Stream
  /** The names of the present people, by subject. */
  #people = new Map<string, string>()
  /** The people who were present at the last report of joins and leaves; `undefined` before the first list. */
  #told: Map<string, string> | undefined
  #isSettled = false
  #settling: ReturnType<typeof setTimeout> | undefined
  /** The changes that arrive while a list of people is requested. The list may be older or newer than these changes. */
  #changes: (() => void)[] | undefined
  #token = ''

  constructor(hub: string, name: string, room: string, events: RoomEvents) {
    this.#hub = hub
    this.#name = name
    this.#topic = `rooms.${room}`
    this.#events = events
    this.#stream = openStream({
      url: () => this.#url(),
      on: {
        'fanfare.live': () => this.#connected(),
        'fanfare.gap': events.onGap,
        'fanfare.join': (event) => this.#join(eventOf<Present>(event).data),
        'fanfare.leave': (event) => this.#leave(eventOf<Present>(event).data),
        message: (event) => {
          const { subject, data, time } = eventOf<string>(event)
          events.onMessage(authorOf(subject), data, new Date(time))
        },
        typing: (event) => events.onTyping(authorOf(eventOf(event).subject)),
      },
      onStatus: (status, reason) => {
        if (status !== 'live') this.#disconnected()
        events.onStatus(status, reason)
      },
    })
  }

  /**
   * Publishes a message to the room.
   * @param id the same for each try, so that the message is stored once
   */
  async say(text: string, id: string): Promise<void> {
    await this.#publish({ type: 'message', text, id })
  }

  /** Publishes an ephemeral typing notice. */
  async typing(): Promise<void> {
    await this.#publish({ type: 'typing', text: '', ephemeral: true })
  }

  leave(): void {
    this.#stream.close()
    this.#disconnected()
  }

  /** Returns a URL with a new ticket, since a ticket is valid for a minute only. */
  async #url(): Promise<string> {
    await this.#login()
    const { ticket } = await ask<{ ticket: string }>(`${this.#hub}/tickets`, { token: this.#token })
    const query = new URLSearchParams({ ticket, presence: 'true', format: 'cloudevents', replay: String(REPLAY) })
    for (const topic of [this.#topic, `${this.#topic}.*`]) query.append('topic', topic)
    return `${this.#hub}/events?${query}`
  }

  async #login(): Promise<void> {
    this.#token = (await ask<Login>('login', { body: { name: this.#name } })).token
  }

  /**
   * Sends a request about a topic. If the hub refuses the token, for example after a change of its secret, repeats the
   * request once with a new token.
   */
  async #ask<Answer>(path: string, question: Question): Promise<Answer> {
    const again = () => ask<Answer>(`${this.#hub}/topics/${path}`, { ...question, token: this.#token })
    try {
      return await again()
    } catch (err) {
      if (!(err instanceof Refusal && err.status === 401)) throw err
      await this.#login()
      return again()
    }
  }

  async #publish(event: object): Promise<void> {
    await this.#ask(`${this.#topic}.${this.#name}/events`, { body: event })
  }

  #connected(): void {
    this.#disconnected()
    const settle = () => {
      this.#isSettled = true
      this.#tell()
    }
    this.#settling = setTimeout(settle, this.#told ? SETTLING : 0)
    void this.#count()
  }

  /** Discards pending changes: the present people are unknown until the next stream is open. */
  #disconnected(): void {
    clearTimeout(this.#settling)
    this.#isSettled = false
    this.#changes = undefined
  }

  /**
   * Requests the present people until the hub answers. Joins and leaves that arrive meanwhile are applied to the
   * answer.
   */
  async #count(): Promise<void> {
    const changes: (() => void)[] = (this.#changes = [])
    const answer = await this.#ask<{ subjects: Present[] }>(`${this.#topic}/presence`, { method: 'GET' }).catch(
      () => undefined,
    )
    if (changes !== this.#changes) return // the stream has changed or ended meanwhile
    if (!answer) {
      setTimeout(() => changes === this.#changes && void this.#count(), RETRY)
      return
    }
    this.#changes = undefined
    this.#people = new Map(answer.subjects.map((present) => [present.subject, nameOf(present)]))
    for (const change of changes) change()
    this.#told ??= new Map(this.#people)
    this.#tell()
  }

  #join(present: Present): void {
    this.#change(() => this.#people.set(present.subject, nameOf(present)))
  }

  #leave({ subject }: Present): void {
    this.#change(() => this.#people.delete(subject))
  }

  #change(change: () => void): void {
    this.#changes?.push(change)
    change()
    this.#tell()
  }

  /**
   * Reports the present people and, once the list has settled, the joins and leaves of others since the last report.
   */
  #tell(): void {
    this.#events.onPeople([...this.#people.values()].sort((a, b) => a.localeCompare(b)))
    if (!this.#told || !this.#isSettled || this.#changes) return
    const [before, now] = [this.#told, this.#people]
    this.#told = new Map(now)
    for (const [subject, name] of before) if (subject !== this.#name && !now.has(subject)) this.#events.onLeave(name)
    for (const [subject, name] of now) if (subject !== this.#name && !before.has(subject)) this.#events.onJoin(name)
  }
}

function eventOf<Data>({ data }: MessageEvent<string>): CloudEvent<Data> {
  return JSON.parse(data) as CloudEvent<Data>
}

function authorOf(topic: string): string {
  return topic.slice(topic.lastIndexOf('.') + 1)
}

function nameOf({ subject, info }: Present): string {
  return info?.name ?? subject
}
