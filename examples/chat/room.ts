/**
 * A room: the topic `rooms.<room>`, on which people are present, and `rooms.<room>.<name>`, to which each of them
 * publishes. A token grants its own name only, so the topic tells who wrote; CloudEvents bring it to the page, with
 * the hub's time.
 */
import { ask, Refusal, type Question } from '../shared/ask.js'
import type { Status } from '../shared/status.js'
import { openStream, type Stream } from '../shared/stream.js'
import type { Login } from './server.js'

export interface RoomEvents {
  onMessage: (author: string, text: string, time: Date) => void
  onTyping: (author: string) => void
  /** Who is here, by name. */
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

/** How many of the last messages come first. */
const REPLAY = 50
/**
 * For how long after a reconnect nobody is told of as having come or left, in milliseconds: those who lost their
 * streams too come back a moment later, their browsers after the two to four seconds that the hub has drawn for each.
 */
const SETTLING = 6_000
/** Until who is here is asked again, after that has failed, in milliseconds. */
const RETRY = 1_000

export class Room {
  readonly #hub: string
  readonly #name: string
  readonly #topic: string
  readonly #events: RoomEvents
  readonly #stream: Stream
  /** Who is here: their names, by subject. */
  #people = new Map<string, string>()
  /** Who was here when it was last told who comes and who leaves; `undefined` until it is known. */
  #told: Map<string, string> | undefined
  #isSettled = false
  #settling: ReturnType<typeof setTimeout> | undefined
  /** What has changed while the list of people is on its way: it may be older or newer than these. */
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
   * Says something to everybody here.
   * @param id the same for each try to send it: it is stored once
   */
  async say(text: string, id: string): Promise<void> {
    await this.#publish({ type: 'message', text, id })
  }

  /** Tells those who are here now that something is being written; nothing of it is kept. */
  async typing(): Promise<void> {
    await this.#publish({ type: 'typing', text: '', ephemeral: true })
  }

  leave(): void {
    this.#stream.close()
    this.#disconnected()
  }

  /** A ticket is good for a minute, so each URL has its own; a new token costs little, and lasts while people stay. */
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
   * Asks something about a topic. The stream may have outlived its token (the hub has another secret by now): where
   * that is refused it is asked once more with a new one.
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

  /** Who is here is not known until the next stream is there. */
  #disconnected(): void {
    clearTimeout(this.#settling)
    this.#isSettled = false
    this.#changes = undefined
  }

  /**
   * Asks who is here, until that is answered. Joins and leaves that come meanwhile are applied to the answer as well.
   */
  async #count(): Promise<void> {
    const changes: (() => void)[] = (this.#changes = [])
    const answer = await this.#ask<{ subjects: Present[] }>(`${this.#topic}/presence`, { method: 'GET' }).catch(
      () => undefined,
    )
    if (changes !== this.#changes) return // the stream is another one, or none
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
   * Tells who is here and, once that is certain, who of the others has come and who has left since it was last told.
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
