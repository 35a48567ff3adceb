/** Topics: their retained events and their subscribers. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { EventLog, TopicsOptions, TopicStats } from '../log/log.js'
import { requireTopic, requireTopicName } from '../model/topic.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'

/** The description of a topic. */
export interface TopicInfo {
  topic: string
  /** The number of streams whose topics or patterns match this topic. */
  subscribers: number
  /** The number of its retained events. */
  events: number
  /** The bytes of its events, as retention counts them. */
  bytes: number
  /** The cursors of its oldest and newest retained event; `null`: there is none. */
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
   * Describes a topic, with or without events.
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
   * Lists the topics with retained events, by name.
   * @param accepts returns `false` for topics to leave out
   */
  async list(
    options: TopicsOptions,
    accepts: (topic: string) => boolean,
  ): Promise<{ topics: TopicInfo[]; more: boolean }> {
    const { topics, more } = await this.#log.topics(options, accepts)
    return { topics: await mapInTurns(topics, (stats) => this.#describe(stats)), more }
  }

  /**
   * Purges a topic. Streams that have not been sent its events get a gap notice.
   * @returns the number of purged events
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
