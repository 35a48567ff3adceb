/** The change of the state by one transaction, as the leader sends it to the replicas. */
import type { StoredEvent } from '../../model/event.js'
import type { RecordChange } from '../log.js'
import type { Unindexed } from './index-entry.js'
import type { ForgottenTopic, State, StateUpdate } from './state.js'
import { Topic } from './topic.js'
import type { Totals } from './totals.js'

/** The numbers of a topic after the transaction. */
type TopicNumbers = [name: string, id: number, events: number, bytes: number, newest: number, trimmed: number]

export interface ReplicatedChange {
  readonly totals: Totals
  /** The appended events, in order. */
  readonly events: readonly StoredEvent[]
  /** The index entry of each event. */
  readonly entries: readonly number[]
  /** As `StateUpdate.indexed`. */
  readonly indexed: number
  /** As `StateUpdate.topics`. */
  readonly topics: readonly TopicNumbers[]
  /** The names of the topics that have lost events, in the order of their trims. */
  readonly trimmed: readonly string[]
  /** As `StateUpdate.forgotten`. */
  readonly forgotten: readonly ForgottenTopic[]
  /** The changed records, in order; `undefined`: the transaction changed none. */
  readonly records: readonly RecordChange[] | undefined
}

/** Returns a change for the replicas. Call it before the topics of the update change again. */
export function toReplicated(
  update: StateUpdate,
  events: readonly StoredEvent[],
  records: readonly RecordChange[],
): ReplicatedChange {
  return {
    totals: update.totals,
    events,
    entries: update.appended.map(({ entry }) => entry),
    indexed: update.indexed,
    topics: Array.from(update.topics, ({ name, id, events: count, bytes, newest, trimmed }) => [
      name,
      id,
      count,
      bytes,
      newest,
      trimmed,
    ]),
    trimmed: Array.from(update.trimmed, ({ name }) => name),
    forgotten: update.forgotten,
    records: update.hasRecords ? records : undefined,
  }
}

/** Returns the update of a replica's state. */
export function toUpdate(state: State, change: ReplicatedChange): StateUpdate {
  const topics = new Map(change.topics.map((numbers) => [numbers[0], topicOf(state, numbers)]))
  return {
    totals: change.totals,
    hasRecords: change.records !== undefined,
    indexed: change.indexed,
    appended: change.events.map(({ sequence, topic }, index): Unindexed => ({
      sequence,
      topic,
      recent: topics.get(topic)!.recent,
      entry: change.entries[index]!,
    })),
    trimmed: change.trimmed.map((name) => topics.get(name)!),
    forgotten: change.forgotten,
    topics: topics.values(),
  }
}

function topicOf(state: State, [name, id, events, bytes, newest, trimmed]: TopicNumbers): Topic {
  const known = state.topics.get(name)
  const topic = known ? known.copy() : new Topic(name, id)
  if (!known) topic.trimmedAt = state.trimmedOf(name).trimmedAt
  topic.events = events
  topic.bytes = bytes
  topic.newest = newest
  topic.trimmed = trimmed
  return topic
}
