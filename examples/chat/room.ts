/**
 * A room: the topic `rooms.<room>`, on which people are present, and `rooms.<room>.<name>`, to which each of them
 * publishes. A token grants its own name only, so the topic tells who wrote; CloudEvents bring it to the page, with
 * the hub's time.
 */
import { ask } from '../shared/ask.js'
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

export class Room {
  readonly #hub: string
  readonly #name: string
  readonly #topic: string
  readonly #events: RoomEvents
  readonly #stream: Stream
  readonly #people = new Map<string, string>()
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
        'fanfare.live': () => void this.#count().catch(() => undefined), // if the hub is gone again, so is the stream
        'fanfare.gap': events.onGap,
        'fanfare.join': (event) => this.#join(eventOf<Present>(event).data),
        'fanfare.leave': (event) => this.#leave(eventOf<Present>(event).data),
        message: (event) => {
          const { subject, data, time } = eventOf<string>(event)
          events.onMessage(authorOf(subject), data, new Date(time))
        },
        typing: (event) => events.onTyping(authorOf(eventOf(event).subject)),
      },
      onStatus: events.onStatus,
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
  }

  /** A ticket is good for a minute, so each URL has its own; a new token costs little, and lasts while people stay. */
  async #url(): Promise<string> {
    this.#token = (await ask<Login>('login', { body: { name: this.#name } })).token
    const { ticket } = await ask<{ ticket: string }>(`${this.#hub}/tickets`, { token: this.#token })
    const query = new URLSearchParams({ ticket, presence: 'true', format: 'cloudevents', replay: String(REPLAY) })
    for (const topic of [this.#topic, `${this.#topic}.*`]) query.append('topic', topic)
    return `${this.#hub}/events?${query}`
  }

  async #publish(event: object): Promise<void> {
    await ask(`${this.#hub}/topics/${this.#topic}.${this.#name}/events`, { token: this.#token, body: event })
  }

  /** Asks who is here. Joins and leaves that come meanwhile are applied to the answer as well. */
  async #count(): Promise<void> {
    const changes: (() => void)[] = (this.#changes = [])
    const { subjects } = await ask<{ subjects: Present[] }>(`${this.#hub}/topics/${this.#topic}/presence`, { method: 'GET', token: this.#token })
    if (changes !== this.#changes) return // it has been asked again
    this.#changes = undefined
    this.#people.clear()
    for (const present of subjects) this.#people.set(present.subject, nameOf(present))
    for (const change of changes) change()
    this.#tell()
  }

  #join(present: Present): void {
    const { subject } = present
    const isNew = !this.#people.has(subject)
    this.#change(() => this.#people.set(subject, nameOf(present)))
    if (isNew && subject !== this.#name) this.#events.onJoin(nameOf(present))
  }

  #leave(present: Present): void {
    this.#change(() => this.#people.delete(present.subject))
    this.#events.onLeave(nameOf(present))
  }

  #change(change: () => void): void {
    this.#changes?.push(change)
    change()
    this.#tell()
  }

  #tell(): void {
    this.#events.onPeople([...this.#people.values()].sort((a, b) => a.localeCompare(b)))
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
