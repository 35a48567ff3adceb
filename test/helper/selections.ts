/** Different selections of the same topics, and a check that a subscriber has read everything. */
import { publishBatch } from './http.js'
import { matches, type Logged } from './oracle.js'
import type { Hub } from './process.js'
import type { Random } from './random.js'
import type { StreamEvent } from './stream.js'

export const TOPICS = Array.from({ length: 20 }, (_, n) => `shop${n % 4}.orders.${n}`)
export const PATTERNS = ['**', 'shop1.**', '*.orders.*', 'shop2.*.*', 'shop3.orders.7', '*.*.12']
/** The number of concurrent publishers. */
export const PUBLISHERS = 8

/** Returns selections: a topic, several topics, patterns, and overlapping patterns and topics. */
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

/** Publishes a last event to every topic, so that each subscriber can tell that it has read everything. */
export async function publishEnd(hub: Hub, bearer: string): Promise<Logged[]> {
  const published = await publishBatch(
    hub,
    TOPICS.map((topic) => ({ topic, data: 'end' })),
    bearer,
  )
  return published.map(({ id, topic }) => ({ id, topic, data: '"end"' }))
}

/** Whether a subscriber of these topics has read its last event. */
export function isAtEnd(read: readonly StreamEvent[], topics: readonly string[]): boolean {
  const ends = TOPICS.filter((topic) => matches(topics, topic)).length
  return read.filter(({ data }) => data === '"end"').length >= ends && read.at(-1)?.data === '"end"'
}
