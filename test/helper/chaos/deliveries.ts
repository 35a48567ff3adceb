/** Checks what subscribers have read against the log: each event once, in order, and none missing. */
import { matches as match, sequence } from '../oracle.js'
import type { StreamEvent } from '../stream.js'
import type { Story } from './story.js'
import type { Connection, Subscriber } from './subscribers.js'
import { print, type TrueEvent, type Truth } from './truth.js'

/** What was checked. */
export interface Checked {
  connections: number
  deliveries: number
  moves: number
  replayed: number
  /** Connections that began before the last confirmed acknowledgement of their named cursor. */
  backwards: number
}

/** Checks every connection of the subscribers. */
export function checkDeliveries(subscribers: readonly Subscriber[], truth: Truth, story: Story): Checked {
  const checked: Checked = { connections: 0, deliveries: 0, moves: 0, replayed: 0, backwards: 0 }
  for (const subscriber of subscribers) {
    for (const [n, connection] of subscriber.connections.entries()) {
      const check = new ConnectionCheck(connection, subscriber.options.type, truth, checked)
      const fault = check.fault()
      const { place, from, until, after } = connection
      if (fault !== undefined)
        story.breaks(
          `${subscriber.name}, connection ${n} at ${place} from ${Math.round(from)} to ${Math.round(until)} ms, after ${after}: ${fault}`,
        )
    }
  }
  return checked
}

class ConnectionCheck {
  readonly #connection: Connection
  readonly #type: string | undefined
  readonly #truth: Truth
  readonly #checked: Checked
  /** The topics of the stream, and the sequence from which it has to have their events. */
  #topics: readonly string[] = []
  #position = 0
  /** The events that a replay has to bring, or `undefined` outside of one. */
  #replay: TrueEvent[] = []
  #opened = 0
  readonly #ephemeral = new Set<string>()

  constructor(connection: Connection, type: string | undefined, truth: Truth, checked: Checked) {
    this.#connection = connection
    this.#type = type
    this.#truth = truth
    this.#checked = checked
  }

  /** Returns the first fault of the connection in words; `undefined`: it has none. */
  fault(): string | undefined {
    const { stream, topics, after } = this.#connection
    this.#checked.connections++
    this.#topics = topics
    this.#position = after
    for (const block of stream.all) {
      const fault = this.#faultOf(block)
      if (fault !== undefined) return fault
    }
    const { lastId } = stream
    return lastId === undefined ? undefined : this.#moveTo(sequence(lastId))
  }

  #faultOf(block: StreamEvent): string | undefined {
    switch (block.type) {
      case 'fanfare.open':
        return this.#open(block)
      case 'fanfare.live':
        return this.#moveTo(sequence(block.id!))
      case 'fanfare.gap':
        return `a gap, though nothing was removed: ${block.data}`
      case 'fanfare.close':
        return undefined
      default:
        return block.id === undefined ? this.#withoutId(block) : this.#event(block)
    }
  }

  #open({ id, data }: StreamEvent): string | undefined {
    const { topics } = JSON.parse(data) as { topics: string[] }
    const at = id === undefined ? NaN : sequence(id)
    if (this.#opened++ === 0) return this.#begin(at)
    const fault = this.#moveTo(at)
    const added = topics.filter((topic) => !this.#topics.includes(topic))
    this.#topics = topics
    this.#checked.moves++
    const count = this.#connection.replays[this.#opened - 1] ?? 0
    this.#replay = count === 0 ? [] : this.#expected(added, 0, at).slice(-count)
    return fault
  }

  /** The first block of the stream. */
  #begin(at: number): string | undefined {
    const { cursor } = this.#connection
    if (!cursor && this.#position === 0) return this.#moveTo(at) // a replay begins before its first event
    if (!cursor) return at === this.#position ? undefined : `begins at ${at}`
    if (cursor.tried > 0) {
      if (at > cursor.tried) return `begins at ${at}, and nothing behind ${cursor.tried} was acknowledged`
      if (at < cursor.confirmed) this.#checked.backwards++
    }
    this.#position = at
    return undefined
  }

  #event({ id, topic, type, data }: StreamEvent): string | undefined {
    const at = sequence(id!)
    if (at <= this.#position) return `${data} comes with ${id!} after ${this.#position}`
    const fault = this.#moveTo(at - 1)
    if (fault !== undefined) return fault
    this.#position = at
    this.#checked.deliveries++
    const event = this.#truth.find(JSON.parse(data) as string)
    if (event?.sequence !== at) return `${data} comes as ${at}, and the log has ${print(event)}`
    if (event.type !== type || (topic !== undefined && topic !== event.topic))
      return `${print(event)} comes with the topic ${topic ?? '-'} and the type ${type ?? '-'}`
    if (!matches(this.#topics, event.topic)) return `${print(event)} was not asked for: ${this.#topics.join(', ')}`
    return this.#type === undefined || type === this.#type ? undefined : `${print(event)} has another type`
  }

  /** An event of a replay, or an ephemeral one. */
  #withoutId({ data, topic }: StreamEvent): string | undefined {
    const text = JSON.parse(data) as string
    const event = this.#truth.find(text)
    if (event) {
      const next = this.#replay.shift()
      this.#checked.replayed++
      return next === event ? undefined : `the replay brings ${print(event)}, and ${print(next)} was expected`
    }
    if (this.#ephemeral.has(text)) return `the ephemeral event ${text} comes twice`
    this.#ephemeral.add(text)
    return topic === undefined || matches(this.#topics, topic) ? undefined : `${text} on ${topic} was not asked for`
  }

  /** Moves the position; every event before has to have come. */
  #moveTo(at: number): string | undefined {
    if (!(at >= this.#position)) return `goes back from ${this.#position} to ${at}`
    const missing = this.#expected(this.#topics, this.#position, at)
    this.#position = at
    return missing.length === 0 ? undefined : `${missing.length} events are missing before ${at}: ${print(missing[0])}`
  }

  /** Returns the events of some topics behind one sequence, up to another. */
  #expected(topics: readonly string[], after: number, until: number): TrueEvent[] {
    const { events } = this.#truth
    const found: TrueEvent[] = []
    for (let n = indexAfter(events, after); n < events.length && events[n]!.sequence <= until; n++) {
      const event = events[n]!
      if ((this.#type === undefined || event.type === this.#type) && matches(topics, event.topic)) found.push(event)
    }
    return found
  }
}

const known = new Map<string, boolean>()

function matches(patterns: readonly string[], topic: string): boolean {
  const key = `${patterns.join(' ')} ${topic}`
  let answer = known.get(key)
  if (answer === undefined) known.set(key, (answer = match(patterns, topic)))
  return answer
}

/** Returns the index of the first event behind a sequence. */
function indexAfter(events: readonly TrueEvent[], after: number): number {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle]!.sequence <= after) low = middle + 1
    else high = middle
  }
  return low
}
