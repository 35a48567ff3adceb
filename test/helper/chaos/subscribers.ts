/** Subscribers that reconnect to random hubs, in every way that the API has, and what each connection has brought. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { send } from '../http.js'
import { sequence } from '../oracle.js'
import { random, type Random } from '../random.js'
import { openStream, streamUrl, type EventStream } from '../stream.js'
import type { HubPlace } from './places.js'
import type { Story } from './story.js'

/** A connection of a subscriber. */
export interface Connection {
  place: string
  /** On the clock of the story. */
  from: number
  until: number
  topics: readonly string[]
  /** The sequence from which it resumes. A new subscriber asks for everything that is retained: 0. */
  after: number
  stream: EventStream
  /** The number of events that each PATCH has asked to replay, by the index of its open block. */
  replays: number[]
  /** How far the subscriber had acknowledged its named cursor, if that is where the connection begins. */
  cursor?: { confirmed: number; tried: number }
}

export interface SubscriberOptions {
  hubs: readonly HubPlace[]
  topics: readonly string[]
  /** Only events of this type. */
  type?: string
  token: string
  seed: number
}

/** How long connections last, in milliseconds, unless they break. */
const LIVES = [300, 1_000, 2_000, 6_000]
/** The time after a connection that could not be made, in milliseconds. */
const AGAIN = 20
/** How long a PATCH may take to show in its stream, in milliseconds. */
const MOVE_TIME = 10_000

/** A subscriber that resumes with its last id. */
export class Subscriber {
  readonly name: string
  readonly connections: Connection[] = []
  readonly options: SubscriberOptions
  protected readonly t: Test
  protected readonly story: Story
  protected readonly own: Random
  protected isOver = false
  #running: Promise<void> | undefined

  constructor(t: Test, name: string, options: SubscriberOptions, story: Story) {
    this.t = t
    this.name = name
    this.options = options
    this.story = story
    this.own = random(options.seed)
  }

  begin(): void {
    this.#running = this.#run()
  }

  /** The newest sequence up to which the subscriber has read everything. */
  get position(): number {
    const { connections } = this
    for (let n = connections.length - 1; n >= 0; n--) {
      const { stream, after } = connections[n]!
      if (stream.lastId !== undefined) return sequence(stream.lastId)
      if (after > 0) return after
    }
    return 0
  }

  /** Ends the subscriber. */
  async end(): Promise<void> {
    this.isOver = true
    this.connections.at(-1)?.stream.destroy()
    await this.#running
  }

  /** The epoch of the log, from an id that was read. */
  protected cursorOf(position: number): string | undefined {
    for (const { stream } of this.connections)
      if (stream.lastId !== undefined) return `${stream.lastId.split('-')[0]!}-${position}`
    return undefined
  }

  /** Returns the query of the next connection and, if it resumes, its last id. */
  protected begins(): { query: Record<string, string>; lastEventId: string | undefined; after: number } {
    const { position } = this
    return { query: { replay: 'all' }, lastEventId: this.cursorOf(position), after: position }
  }

  /** Uses a connection until it is to be closed. */
  protected async use(connection: Connection): Promise<void> {
    await Promise.race([connection.stream.closed, delay(this.own.pick(LIVES))])
  }

  async #run(): Promise<void> {
    while (!this.isOver) {
      const place = this.own.pick(this.options.hubs)
      const connection = await this.#connect(place)
      if (!connection) {
        await delay(AGAIN)
        continue
      }
      try {
        await this.use(connection)
      } catch (err) {
        this.story.breaks(`${this.name} at ${place.name}: ${String(err)}`)
      }
      connection.stream.destroy()
      connection.until = this.story.now()
    }
  }

  async #connect(place: HubPlace): Promise<Connection | undefined> {
    const { type, token, topics } = this.options
    const { query, lastEventId, after, ...rest } = this.begins()
    const url = streamUrl(place, topics, { ...query, ...(type === undefined ? {} : { type }) })
    try {
      const stream = await openStream(this.t, url, { token, ...(lastEventId === undefined ? {} : { lastEventId }) })
      const from = this.story.now()
      const connection = { place: place.name, from, until: Infinity, topics, after, stream, replays: [], ...rest }
      this.connections.push(connection)
      return connection
    } catch (err) {
      if (String(err).includes(`GET ${url}: `)) this.story.breaks(`${this.name} is refused: ${String(err)}`)
      return undefined
    }
  }
}

/** A subscriber that changes the topics of its stream by PATCH, and asks for replays. */
export class Mover extends Subscriber {
  readonly #others: readonly string[]

  /** @param others the topics that it adds and drops */
  constructor(t: Test, name: string, options: SubscriberOptions, others: readonly string[], story: Story) {
    super(t, name, options, story)
    this.#others = others
  }

  protected override async use(connection: Connection): Promise<void> {
    const life = this.story.now() + this.own.pick(LIVES)
    const { stream } = connection
    let held: string | undefined
    while (this.story.now() < life && !stream.isClosed && !this.isOver) {
      await Promise.race([stream.closed, delay(this.own.pick([50, 200, 600]))])
      if (stream.all.length === 0) continue // its first block has not come
      const added = this.own.pick(this.#others.filter((topic) => topic !== held))
      const replay = this.own.pick([0, 0, 3, 40])
      const dropped = held
      if (!(await this.#move(connection, added, dropped, replay))) return // the topics are not known any more
      held = added
    }
  }

  /** Adds a topic and drops another one. @returns whether the stream has said so */
  async #move(
    { stream, replays }: Connection,
    added: string,
    dropped: string | undefined,
    replay: number,
  ): Promise<boolean> {
    const opened = () => stream.all.filter(({ type }) => type === 'fanfare.open')
    const before = opened().length
    const id = String(stream.headers['fanfare-connection'])
    const body = { subscribe: [added], ...(dropped && { unsubscribe: [dropped] }), ...(replay > 0 && { replay }) }
    const place = this.own.pick(this.options.hubs)
    replays[before] = replay
    const answer = await send(place, 'PATCH', `/connections/${id}`, { token: this.options.token, body }).catch(
      () => undefined,
    )
    if (answer?.status !== 200) {
      if (answer && ![404, 503].includes(answer.status))
        this.story.breaks(`${this.name}: PATCH at ${place.name} is answered with ${answer.status}`)
      return false
    }
    const end = this.story.now() + MOVE_TIME
    while (opened().length === before && !stream.isClosed && this.story.now() < end) await delay(5)
    return opened().length > before
  }
}

/** A subscriber with a named cursor, which it acknowledges at random hubs. */
export class CursorSubscriber extends Subscriber {
  /** The newest sequences whose acknowledgement was confirmed, and was tried. */
  #confirmed = 0
  #tried = 0

  protected override begins() {
    const name = this.name
    const { position } = this
    const lastEventId = this.own.below(3) === 0 ? this.cursorOf(position) : undefined
    const cursor = { confirmed: this.#confirmed, tried: this.#tried }
    if (lastEventId === undefined) return { query: { cursor: name, replay: 'all' }, lastEventId, after: -1, cursor }
    this.#tried = Math.max(this.#tried, position)
    return { query: { cursor: name }, lastEventId, after: position }
  }

  protected override async use(connection: Connection): Promise<void> {
    const life = this.story.now() + this.own.pick(LIVES)
    const { stream } = connection
    while (this.story.now() < life && !stream.isClosed && !this.isOver) {
      await Promise.race([stream.closed, delay(this.own.pick([50, 300, 1_000]))])
      if (stream.lastId === undefined) continue
      await this.#acknowledge(stream.lastId)
    }
  }

  async #acknowledge(id: string): Promise<void> {
    const { hubs, token } = this.options
    this.#tried = Math.max(this.#tried, sequence(id))
    const place = this.own.pick(hubs)
    const answer = await send<{ id: string }>(place, 'PUT', `/cursors/${this.name}`, { token, body: { id } }).catch(
      () => undefined,
    )
    if (answer?.status === 200) {
      if (sequence(answer.body.id) > this.#tried)
        this.story.breaks(`${this.name}: the named cursor is at ${answer.body.id}, beyond every acknowledgement`)
      this.#confirmed = Math.max(this.#confirmed, sequence(id))
    } else if (answer && answer.status !== 503)
      this.story.breaks(
        `${this.name}: PUT at ${place.name} is answered with ${answer.status}: ${JSON.stringify(answer.body)}`,
      )
  }
}
