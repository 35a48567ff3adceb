/** Subjects that come and go at random hubs, and watchers at every hub that are told of it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { poll } from '../deadline.js'
import { send } from '../http.js'
import { random, type Random } from '../random.js'
import { openStream, streamUrl, type EventStream } from '../stream.js'
import { token } from '../token.js'
import type { HubPlace } from './places.js'
import type { Story } from './story.js'

const ROOMS = ['room.1', 'room.2']
const SUBJECTS = 8
/** How long a subject stays or is away, in milliseconds. */
const STAYS = [300, 1_500, 5_000]
const ABSENCES = [0, 50, 2_500]
/** The time after a connection that could not be made, in milliseconds. */
const AGAIN = 20

const watching = token({ sub: 'watcher', subscribe: ['room.*'], presence: ['room.*'], admin: true })

interface Change {
  type: string | undefined
  subject: string
  subjects: number
}

/** A stream that is told of joins and leaves. */
interface Watch {
  place: HubPlace
  stream: EventStream
}

export class Attendance {
  readonly #t: Test
  readonly #hubs: readonly HubPlace[]
  readonly #story: Story
  readonly #seed: number
  readonly #watches: Watch[] = []
  /** The open stream of each subject. */
  readonly #open = new Map<string, { room: string; stream: EventStream }>()
  #isOver = false
  #comesAndGoes = true
  readonly #running: Promise<void>[] = []

  constructor(t: Test, hubs: readonly HubPlace[], seed: number, story: Story) {
    this.#t = t
    this.#hubs = hubs
    this.#seed = seed
    this.#story = story
  }

  begin(): void {
    for (const place of this.#hubs) this.#running.push(this.#watch(place))
    for (let n = 0; n < SUBJECTS; n++) this.#running.push(this.#attend(`s${n}`, random(this.#seed + n)))
  }

  /** From now on subjects stay where they are. */
  settle(): void {
    this.#comesAndGoes = false
  }

  async end(): Promise<void> {
    this.#isOver = true
    for (const { stream } of [...this.#open.values(), ...this.#watches]) stream.destroy()
    await Promise.all(this.#running)
  }

  /** Checks that each watcher was told of joins and leaves in turn. Returns their number. */
  check(): number {
    let changes = 0
    for (const { place, stream } of this.#watches) {
      const present = new Map<string, boolean>()
      for (const room of ROOMS) {
        for (const { type, subject } of changesOf(stream, room)) {
          changes++
          const key = `${room} ${subject}`
          const isPresent = type === 'fanfare.join'
          if (present.get(key) === isPresent)
            this.#story.breaks(`a watcher at ${place.name} is told twice: ${type ?? ''} of ${key}`)
          present.set(key, isPresent)
        }
      }
    }
    return changes
  }

  /**
   * Checks that every hub lists the subjects with open streams, and that the watchers were told the same.
   * @param within the time limit, in milliseconds
   */
  async agree(within: number): Promise<void> {
    let words: string | undefined
    await poll(
      async () => ((words = await this.#disagreement()) === undefined ? true : undefined),
      () => words!,
      within,
    ).catch((err: unknown) => this.#story.breaks(String(err)))
  }

  async #disagreement(): Promise<string | undefined> {
    for (const room of ROOMS) {
      const here = [...this.#open].filter(([, at]) => at.room === room && !at.stream.isClosed)
      const subjects = here.map(([subject]) => subject).sort()
      for (const place of this.#hubs) {
        const listed = await present(place, room)
        if (listed.join() !== subjects.join())
          return `${place.name} lists ${listed.join()} in ${room}, where ${subjects.join()} are`
      }
      for (const { place, stream } of this.#watches) {
        if (stream.isClosed) continue
        const last = new Map(changesOf(stream, room).map(({ subject, type }) => [subject, type]))
        for (const [subject, type] of last)
          if ((type === 'fanfare.join') !== subjects.includes(subject))
            return `the last that a watcher at ${place.name} was told of ${subject} in ${room} is ${type ?? ''}`
      }
    }
    return undefined
  }

  /**
   * Kills a hub that holds the only stream of a subject. Every other hub has to tell its watchers that the subject has
   * left, once.
   * @returns the time until the last watcher knows, in milliseconds
   */
  async loseHub(place: HubPlace, within: number): Promise<number> {
    const [room] = ROOMS as [string]
    const subject = 'lone'
    const stream = await openStream(this.#t, streamUrl(place, [room]), { token: memberToken(subject) })
    const others = this.#hubs.filter((hub) => hub !== place)
    const told = (type: string) => {
      const watches = others.map((hub) => this.#watches.findLast((watch) => watch.place === hub)!)
      return watches.map(
        (watch) =>
          changesOf(watch.stream, room).filter((change) => change.subject === subject && change.type === type).length,
      )
    }
    await this.#tell(() => told('fanfare.join'), `no hub tells that ${subject} has joined`, within)
    await place.end('SIGKILL')
    this.#story.fault(`${place.name} gets SIGKILL, and ${subject} is lost`)
    const begun = this.#story.now()
    await this.#tell(() => told('fanfare.leave'), `no hub tells that ${subject} has left`, within)
    const time = this.#story.now() - begun
    stream.destroy()
    for (const hub of others)
      if ((await present(hub, room)).includes(subject)) this.#story.breaks(`${hub.name} still lists ${subject}`)
    return time
  }

  async #tell(told: () => number[], words: string, within: number): Promise<void> {
    await poll(
      async () => (told().every((count) => count > 0) ? true : undefined),
      () => `${words} (${told().join(', ')})`,
      within,
    ).catch((err: unknown) => this.#story.breaks(String(err)))
    if (told().some((count) => count > 1)) this.#story.breaks(`${words} once (${told().join(', ')})`)
  }

  /** Keeps a watcher at a hub. */
  async #watch(place: HubPlace): Promise<void> {
    while (!this.#isOver) {
      try {
        const url = streamUrl(place, ROOMS, { presence: 'true', observe: 'true' })
        const stream = await openStream(this.#t, url, { token: watching })
        this.#watches.push({ place, stream })
        await stream.closed
      } catch (err) {
        this.#requireTemporary(err)
        await delay(AGAIN)
      }
    }
  }

  async #attend(subject: string, own: Random): Promise<void> {
    while (!this.#isOver) {
      const room = own.pick(ROOMS)
      try {
        const url = streamUrl(own.pick(this.#hubs), [room])
        const stream = await openStream(this.#t, url, { token: memberToken(subject) })
        this.#open.set(subject, { room, stream })
        const until = this.#story.now() + own.pick(STAYS)
        while (!stream.isClosed && (!this.#comesAndGoes || this.#story.now() < until))
          await Promise.race([stream.closed, delay(50)])
        stream.destroy()
        this.#open.delete(subject)
      } catch (err) {
        this.#requireTemporary(err)
        await delay(AGAIN)
      }
      if (this.#comesAndGoes) await delay(own.pick(ABSENCES))
    }
  }

  #requireTemporary(err: unknown): void {
    if (/: 4\d\d /.test(String(err))) this.#story.breaks(`a stream of presence is refused: ${String(err)}`)
  }
}

function memberToken(subject: string): string {
  return token({ sub: subject, subscribe: ['room.*'] })
}

/** Returns the joins and leaves of a room that a stream was told of. */
function changesOf({ all }: EventStream, room: string): Change[] {
  return all
    .filter(({ type, topic }) => topic === room && (type === 'fanfare.join' || type === 'fanfare.leave'))
    .map(({ type, data }) => ({ type, ...(JSON.parse(data) as Omit<Change, 'type'>) }))
}

/** Returns the sorted subjects of a room, as a hub says. */
async function present(place: HubPlace, room: string): Promise<string[]> {
  const { body } = await send<{ subjects: { subject: string }[] }>(place, 'GET', `/topics/${room}/presence`, {
    token: watching,
  })
  return body.subjects.map(({ subject }) => subject).sort()
}
