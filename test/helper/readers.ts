/** Many readers of different selections of the same topics, and how to tell that each has read everything. */
import { publishBatch } from './http.js'
import { matches, type Logged } from './oracle.js'
import type { Hub } from './process.js'
import type { Random } from './random.js'
import type { StreamEvent } from './stream.js'

export const TOPICS = Array.from({ length: 20 }, (_, n) => `shop${n % 4}.orders.${n}`)
export const PATTERNS = ['**', 'shop1.**', '*.orders.*', 'shop2.*.*', 'shop3.orders.7', '*.*.12']
/** How many publishers there are at a time. */
export const PUBLISHERS = 8

/** What readers ask for: a topic, several topics, patterns, patterns and topics that overlap. */
export function selections(count: number, numbers: Random): string[][] {
  return Array.from({ length: count }, (_, n) => {
    const pick = (): string => numbers.pick(TOPICS)
    switch (n % 4) {
      case 0:
        return [TOPICS[(n / 4) % TOPICS.length]!]
      case 1:
        return [...new Set([pick(), pick(), pick()])]
      case 2:
        return [numbers.pick(PATTERNS)]
      default:
        return [...new Set([numbers.pick(PATTERNS), pick(), pick()])]
    }
  })
}

/** Publishes one last event to every topic, so that each reader can tell that it has read everything. */
export async function publishEnd(hub: Hub, bearer: string): Promise<Logged[]> {
  const published = await publishBatch(
    hub,
    TOPICS.map((topic) => ({ topic, data: 'end' })),
    bearer,
  )
  return published.map(({ id, topic }) => ({ id, topic, data: '"end"' }))
}

/** Whether a reader of these topics has read the last event that there is for it. */
export function isAtEnd(read: readonly StreamEvent[], topics: readonly string[]): boolean {
  const ends = TOPICS.filter((topic) => matches(topics, topic)).length
  return read.filter(({ data }) => data === '"end"').length >= ends && read.at(-1)?.data === '"end"'
}
