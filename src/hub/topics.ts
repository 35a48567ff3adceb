/** What the log holds of each topic, and how many streams read it. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { EventLog, TopicsOptions, TopicStats } from '../log/log.js'
import { requireTopic, requireTopicName } from '../model/topic.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'

/** What there is of a topic. */
export interface TopicInfo {
  topic: string
  /** How many streams have it among their topics and patterns. */
  subscribers: number
  /** How many of its events are retained. */
  events: number
  /** What they count for in retention by bytes. */
  bytes: number
  /** The cursors of the oldest and the newest of them; `null`: there are none. */
  firstId: string | null
  lastId: string | null
}

export class Topics {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout: Fanout

  constructor(log: EventLog, encoder: Encoder, fanout: Fanout) {
    this.#log = log
    this.#encoder = encoder
    this.#fanout = fanout
  }

  /**
   * Returns what there is of a topic. Every topic exists by name, so there is an answer for each.
   * @throws HubError `invalid-topic`
   */
  async get(topic: string): Promise<TopicInfo> {
    requireTopicName(topic)
    const stats = await this.#log.topic(topic)
    return stats
      ? this.#describe(stats)
      : { topic, subscribers: this.#fanout.subscribers(topic), events: 0, bytes: 0, firstId: null, lastId: null }
  }

  /**
   * Lists the topics of which the log holds something, by name.
   * @param accepts names that it says no to are left out
   */
  async list(
    options: TopicsOptions,
    accepts: (topic: string) => boolean,
  ): Promise<{ topics: TopicInfo[]; more: boolean }> {
    const { topics, more } = await this.#log.topics(options, accepts)
    return { topics: await mapInTurns(topics, (stats) => this.#describe(stats)), more }
  }

  /**
   * Takes every event of a topic out of the log. Streams that have not been sent them yet are told of a gap.
   * @returns how many events that were
   * @throws HubError `invalid-topic`, `reserved-topic`, `log-unavailable`
   */
  async purge(topic: string): Promise<number> {
    requireTopic(topic)
    return this.#log.purge(topic)
  }

  #describe({ topic, events, bytes, first, last }: TopicStats): TopicInfo {
    return {
      topic,
      subscribers: this.#fanout.subscribers(topic),
      events,
      bytes,
      firstId: events === 0 ? null : this.#encoder.cursor(first),
      lastId: events === 0 ? null : this.#encoder.cursor(last),
    }
  }
}
