/** Builds the index of a stream when a process begins to follow it, with marks for events that may be missing. */
import type { NatsLink } from '../../nats/nats-link.js'
import { wallNow } from '../../model/clock.js'
import type { Retention } from '../log.js'
import type { FiniteNames } from '../finite-names.js'
import { EventIndex } from './event-index.js'
import type { JetStream, StreamInfo } from './jetstream.js'
import { messageId, readHead, storedSize, type Subjects } from './messages.js'
import type { PurgeMark } from './nats-records.js'
import { epochOf } from './stream-config.js'
import { OrderedConsumer, type Delivery } from './ordered-consumer.js'
import type { RecentIds } from './recent-ids.js'

export interface HistorySource {
  link: NatsLink
  jetstream: JetStream
  subjects: Subjects
  retention: Pick<Retention, 'events' | 'bytes'>
  ids: RecentIds
  finite: FiniteNames
  /** The topics that have been purged, in this stream or an earlier one. */
  purges: ReadonlyMap<string, PurgeMark>
}

/** Returns the index of the events that a stream has, up to its newest sequence in `info`. */
export async function readHistory(source: HistorySource, info: StreamInfo): Promise<EventIndex> {
  const { link, jetstream, retention, purges } = source
  const { first_seq: first, last_seq: last } = info.state
  const index = new EventIndex(retention, Math.max(0, first - 1), source.finite)
  const missing = new MissingMessages(info)
  const consumer = new OrderedConsumer(link, jetstream, Math.max(1, first), {
    stream: info.config.name!,
    filter: source.subjects.all,
    headersOnly: true,
    onMessage: (delivery) => {
      if (delivery.sequence > last) return
      missing.note(delivery)
      add(source, index, delivery)
    },
  })
  try {
    await consumer.start()
    await consumer.reach(last)
  } finally {
    consumer.stop()
  }
  index.head = Math.max(index.head, last)
  const epoch = epochOf(info)
  let isPurged = false
  for (const [topic, mark] of purges) {
    if (mark.epoch !== epoch) continue
    index.lost(topic, mark.until)
    isPurged = true
  }
  missing.report(index, source.subjects, isPurged)
  index.takeTrims() // there are no followers yet
  return index
}

function add({ subjects, ids }: HistorySource, index: EventIndex, { message, sequence, time }: Delivery): void {
  const head = readHead(subjects, message.subject, message.headers)
  if (!head) return
  const { topic, type, id } = head
  index.add({ sequence, time, topic, type, size: storedSize(message, head) })
  if (id !== undefined) ids.add(messageId(topic, id), sequence, wallNow() - time)
}

/**
 * The messages that the stream has lost between its oldest and its newest message. JetStream does not report their
 * topics. It trims topics that have the maximum number of messages, and other tools may delete any message.
 */
class MissingMessages {
  readonly #limit: number
  #last: number
  /** The newest missing sequence; 0: none is missing. */
  #newest = 0
  readonly #topics = new Map<string, { count: number; first: number }>()

  constructor({ config, state }: StreamInfo) {
    this.#limit = config.max_msgs_per_subject ?? Infinity
    this.#last = state.first_seq - 1
  }

  note({ message: { subject }, sequence }: Delivery): void {
    if (sequence > this.#last + 1) this.#newest = sequence - 1
    this.#last = sequence
    const topic = this.#topics.get(subject)
    if (topic) topic.count++
    else this.#topics.set(subject, { count: 1, first: sequence })
  }

  /** @param isPurged whether there are marks of purges, which explain missing messages */
  report(index: EventIndex, subjects: Subjects, isPurged: boolean): void {
    if (this.#newest === 0) return
    let isExplained = isPurged
    for (const [subject, { count, first }] of this.#topics) {
      if (count < this.#limit) continue
      isExplained = true
      index.lost(subjects.topicOf(subject), first - 1)
    }
    if (!isExplained) index.suspect(this.#newest)
  }
}
