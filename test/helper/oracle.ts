/** The expected contents of streams, derived from the answers to publishers, independent of the hub's own code. */
import { publish } from './http.js'
import type { Hub } from './process.js'
import type { Random } from './random.js'
import type { StreamEvent } from './stream.js'

/**
 * A published event as its publisher knows it: its cursor, its topic, its type, if any, and its data as on the wire.
 */
export interface Logged {
  id: string
  topic: string
  type?: string
  data: string
}

/** The sequence number of a cursor. */
export function sequence(cursor: string): number {
  return Number(/^[a-z0-9]{8}-(\d+)$/.exec(cursor)?.[1] ?? NaN)
}

/** Whether one of these topics or patterns matches the topic. */
export function matches(patterns: readonly string[], topic: string): boolean {
  return patterns.some((pattern) => {
    const source = pattern
      .split('.')
      .map((segment) => (segment === '**' ? '.+' : segment === '*' ? '[^.]+' : segment))
      .join('\\.')
    return new RegExp(`^${source}$`).test(topic)
  })
}

/** Sorts the receipts of several publishers into log order. */
export function inLogOrder(published: readonly Logged[]): Logged[] {
  return [...published].sort((a, b) => sequence(a.id) - sequence(b.id))
}

/** Returns the events that a stream of these topics must get, optionally only those of one type. */
export function due(log: readonly Logged[], topics: readonly string[], only?: string): StreamEvent[] {
  const named = topics.length > 1 || topics.some((topic) => topic.includes('*'))
  return log
    .filter(({ topic, type }) => matches(topics, topic) && (only === undefined || type === only))
    .map(({ id, topic, type, data }) => ({ id, type, topic: named ? topic : undefined, data }))
}

/**
 * Returns the first difference between two lists of events in words, or `none`. It keeps the failure message of a test
 * with thousands of events to two lines.
 */
export function difference(read: readonly StreamEvent[], expected: readonly StreamEvent[]): string {
  const length = Math.max(read.length, expected.length)
  for (let i = 0; i < length; i++) {
    const [got, want] = [read[i], expected[i]].map((event) => (event ? JSON.stringify(event) : 'nothing more'))
    if (got !== want) {
      return `at ${i}: read ${got!.slice(0, 200)}, expected ${want!.slice(0, 200)}; ${read.length} read, ${expected.length} expected`
    }
  }
  return 'none'
}

export interface Load {
  publishers: number
  /** The number of events that each publisher publishes, one after the other. */
  each: number
  topics: readonly string[]
  /** The types to choose from. `undefined` stands for an event without a type, and is the default. */
  types?: readonly (string | undefined)[]
  random: Random
  token: string
}

/** Runs concurrent publishers, each in a closed loop, and returns their events in log order. */
export async function publishConcurrently(
  hub: Hub,
  { publishers, each, topics, types = [undefined], random, token }: Load,
): Promise<Logged[]> {
  const published: Logged[] = []
  async function run(publisher: number): Promise<void> {
    for (let n = 0; n < each; n++) {
      const topic = random.pick(topics)
      const picked = random.pick(types)
      const type = picked === undefined ? {} : { type: picked }
      const data = { publisher, n }
      const { id } = await publish(hub, topic, { data, ...type }, token)
      published.push({ id, topic, ...type, data: JSON.stringify(data) })
    }
  }
  await Promise.all(Array.from({ length: publishers }, (_, publisher) => run(publisher)))
  return inLogOrder(published)
}
