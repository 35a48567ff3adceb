/** What the routes of finite topics work with. */
import { FiniteTopicError, type FiniteTopic, type FiniteTopics } from '../../hub/finite/finite-topic.js'
import type { Hub } from '../../hub/hub.js'
import { quote } from '../../model/quote.js'
import type { Traces } from '../../observe/traces.js'
import type { Settings } from '../../settings.js'
import type { StreamLimits } from '../subscribe/connection-limits.js'
import { essenceOf } from '../../model/media-type.js'
import type { SharedPages } from './shared-pages.js'
import type { SharedWaits } from './shared-waits.js'
import type { TailFeeds } from './tail-feeds.js'

export type StreamSettings = StreamLimits &
  Pick<Settings, 'maxEventSize' | 'uploadIdle' | 'heartbeat' | 'maxConnectionAge' | 'longPoll'> & {
    /** The time for a body, in milliseconds. */
    bodyTimeout: number
  }

export interface StreamsContext {
  readonly hub: Hub
  readonly finite: FiniteTopics
  readonly pages: SharedPages
  readonly waits: SharedWaits
  readonly tails: TailFeeds
  readonly traces: Traces
  readonly settings: StreamSettings
}

/**
 * Checks that a topic takes messages of a content type. The end of the topic comes first (Durable Streams, 5.2, "Error
 * Precedence").
 * @throws FiniteTopicError `stream-closed`, `cancelled`, `content-type-mismatch`
 */
export function requireMediaType(state: FiniteTopic, contentType: string): void {
  if (essenceOf(contentType) === essenceOf(state.contentType)) return
  if (state.status !== 'open') throw endedRefusal(state)
  throw new FiniteTopicError(
    'content-type-mismatch',
    `${quote(state.topic)} has the content type ${quote(state.contentType)}, and the append ${quote(contentType)}.`,
    { topic: state },
  )
}

/** Returns the refusal of an append to a topic that has ended. */
export function endedRefusal(topic: FiniteTopic): FiniteTopicError {
  const code = topic.status === 'cancelled' ? 'cancelled' : 'stream-closed'
  return new FiniteTopicError(code, `${quote(topic.topic)} has ended with the status ${topic.status}.`, { topic })
}

/**
 * Returns the state of a topic.
 * @throws FiniteTopicError `stream-not-found`, `stream-gone`
 */
export async function requireState({ finite }: StreamsContext, topic: string): Promise<FiniteTopic> {
  return requireExisting(topic, await finite.get(topic))
}

/** @throws FiniteTopicError `stream-not-found`, `stream-gone` */
export function requireExisting(topic: string, state: FiniteTopic | undefined): FiniteTopic {
  if (!state)
    throw new FiniteTopicError('stream-not-found', `There is no finite topic ${quote(topic)}, or it has expired.`)
  if (!state.isDeleted) return state
  throw new FiniteTopicError('stream-gone', `The finite topic ${quote(topic)} was deleted, and still has forks.`)
}
