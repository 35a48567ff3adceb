/** The log of a run, as the hubs' history and the receipts of the publishers say. */
import { request, type History } from '../http.js'
import { sequence } from '../oracle.js'
import { streamUrl } from '../stream.js'
import type { Load, Operation, Sent } from './load.js'
import type { HubPlace } from './places.js'
import type { Story } from './story.js'

export interface TrueEvent {
  sequence: number
  topic: string
  type: string | undefined
  data: string
}

/** Reads the whole history of some topics, and checks that it has no gap. */
export async function readHistory(
  place: HubPlace,
  topics: readonly string[],
  token: string,
  story: Story,
): Promise<TrueEvent[]> {
  const events: TrueEvent[] = []
  for (let after: string | undefined, more = true; more;) {
    const url = streamUrl(place, topics, { limit: '1000', ...(after === undefined ? {} : { after }) })
    const { status, body } = await request<History>(url, {
      headers: { accept: 'application/json', authorization: `Bearer ${token}` },
    })
    if (status !== 200) throw new Error(`the history of ${place.name}: ${status} ${JSON.stringify(body)}`)
    if (body.gap) story.breaks(`the history of ${place.name} has a gap behind ${after ?? 'its beginning'}`)
    events.push(
      ...body.events.map(({ id, topic, type, data }) => ({ sequence: sequence(id), topic, type, data: String(data) })),
    )
    after = body.cursor
    more = body.more
  }
  return events
}

export class Truth {
  /** In the order of the log. */
  readonly events: readonly TrueEvent[]
  readonly #byData: Map<string, TrueEvent>

  constructor(events: readonly TrueEvent[]) {
    this.events = events
    this.#byData = new Map(events.map((event) => [event.data, event]))
  }

  find(data: string): TrueEvent | undefined {
    return this.#byData.get(data)
  }

  /** Checks that the histories of all hubs are the same. */
  compare(place: string, others: readonly TrueEvent[], story: Story): void {
    const length = Math.max(this.events.length, others.length)
    for (let n = 0; n < length; n++) {
      const [one, other] = [this.events[n], others[n]]
      if (one && other && isSame(one, other)) continue
      story.breaks(
        `${place} has ${print(other)} at ${n} of its history, and the first hub has ${print(one)} (${others.length} and ${this.events.length} events)`,
      )
      return
    }
  }

  /** Checks the receipts of the publishers, and that nothing is stored twice. */
  checkLoad({ operations }: Load, story: Story): void {
    const { events } = this
    const order = events.findIndex((event, n) => n > 0 && event.sequence <= events[n - 1]!.sequence)
    if (order !== -1) story.breaks(`${print(events[order])} is out of order`)
    if (this.#byData.size !== events.length) {
      const twice = events.find((event) => this.#byData.get(event.data) !== event)
      story.breaks(`${print(twice)} is stored again as ${print(this.#byData.get(twice!.data))}`)
    }
    const wanted = new Set<string>()
    for (const operation of operations) {
      for (const { data } of operation.events) wanted.add(data)
      for (const fault of this.#faultsOf(operation)) story.breaks(`${describe(operation)}: ${fault}`)
    }
    const foreign = events.find(({ data }) => !wanted.has(data))
    if (foreign) story.breaks(`nobody has published ${print(foreign)}`)
  }

  *#faultsOf({ kind, events, receipt }: Operation): Generator<string> {
    const stored = events.map(({ data }) => this.find(data))
    if (kind === 'ephemeral') {
      if (stored[0]) yield `is stored as ${print(stored[0])}`
      return
    }
    for (const [n, event] of events.entries()) {
      const found = stored[n]
      if (found && !isEqual(event, found)) yield `${JSON.stringify(event)} is stored as ${print(found)}`
      if (receipt && !found) yield `${event.data} was acknowledged as ${receipt[n] ?? 'a line'}, and is missing`
      const expected = receipt?.[n]
      if (expected !== undefined && found && found.sequence !== expected)
        yield `${event.data} was acknowledged as ${expected}, and is stored as ${found.sequence}`
    }
    const places = stored.filter((found) => found !== undefined).map((found) => found.sequence)
    if (kind === 'anonymous batch' && places.length > 0) {
      if (places.length < events.length) yield `${places.length} of ${events.length} events are stored`
      if (places.some((place, n) => place !== places[0]! + n)) yield `it is stored as ${places.join(', ')}`
    }
    if (kind === 'upload' && places.some((place, n) => n > 0 && place <= places[n - 1]!))
      yield `its lines are stored as ${places.join(', ')}`
  }
}

export function print(event: TrueEvent | undefined): string {
  return event ? `${event.data} (${event.sequence}, ${event.topic}${event.type ? `, ${event.type}` : ''})` : 'nothing'
}

function isSame(one: TrueEvent, other: TrueEvent): boolean {
  return one.sequence === other.sequence && isEqual(one, other)
}

function isEqual(one: Sent | TrueEvent, other: TrueEvent): boolean {
  return one.data === other.data && one.topic === other.topic && one.type === other.type
}

function describe({ kind, events, attempts, receipt }: Operation): string {
  const tried = attempts.map(
    ({ at, until, place, outcome }) => `${Math.round(at)}–${Math.round(until)} ${place} ${outcome}`,
  )
  return `${kind} of ${events.length} from ${events[0]!.data}, receipt ${receipt?.join(', ') ?? 'none'}, attempts: ${tried.join('; ')}`
}
