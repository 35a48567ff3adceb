/** Topics and patterns on the command line. */
import { isPattern, isReserved, isTopic } from '../model/topic.js'
import { UsageError } from './command.js'

/** @throws UsageError unless the text is a topic or a pattern */
export function requirePattern(text: string): void {
  if (!isPattern(text))
    throw new UsageError(
      `${JSON.stringify(text)} is neither a topic nor a pattern: write segments joined by ".", such as orders.42, orders.* or "**" in quotes.`,
    )
}

/** @throws UsageError unless events can be published to the topic */
export function requirePublishTopic(text: string): void {
  if (!isTopic(text))
    throw new UsageError(
      `${JSON.stringify(text)} is not a topic: write segments of A-Z a-z 0-9 _ ~ : @ - joined by ".", such as orders.42.`,
    )
  if (isReserved(text)) throw new UsageError(`${JSON.stringify(text)} is one of the hub's own topics.`)
}

/** Returns the part of a pattern before its first wildcard: each topic that it matches begins with this. */
export function literalPrefix(pattern: string): string {
  const [prefix = ''] = pattern.split('*', 1)
  return prefix
}
