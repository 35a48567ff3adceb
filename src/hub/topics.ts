/** Topics: their retained events and their subscribers. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { EventLog, TopicsOptions, TopicStats } from '../log/log.js'
import { arrayOf, isNumber, isString, shapeOf } from '../model/shape.js'
import { requireTopic } from '../model/topic.js'
import type { ClusterMessage } from '../cluster/cluster.js'
import type { Messenger } from './cluster/messenger.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'

/** The description of a topic. */
export interface TopicInfo {
  topic: string
  /** The number of streams of all processes whose topics or patterns match this topic. */
  subscribers: number
  /** The number of its retained events. */
  events: number
  /** The bytes of its events, as retention counts them. */
  bytes: number
  /** The cursors of its oldest and newest retained event; `null`: there is none. */
  firstId: string | null
  lastId: string | null
}

/** Asks for the number of subscribers of each topic. */
interface SubscribersMessage extends ClusterMessage {
  kind: 'subscribers'
  topics: string[]
}

export class Topics {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #messenger: Messenger

  constructor(log: EventLog, encoder: Encoder, fanout: Fanout, messenger: Messenger) {
    this.#log = log
    this.#encoder = encoder
    this.#fanout = fanout
    this.#messenger = messenger
    messenger.onRequest<SubscribersMessage>('subscribers', shapeOf({ topics: arrayOf(isString) }), ({ topics }) =>
      mapInTurns(topics, (topic) => fanout.subscribers(topic)),
    )
  }

  /**
   * Describes a topic, with or without events.
   * @param topic a valid topic: the callers check it
   */
  async get(topic: string): Promise<TopicInfo> {
    const stats = await this.#log.topic(topic)
    const info = stats
      ? this.#describe(stats)
      : { topic, subscribers: this.#fanout.subscribers(topic), events: 0, bytes: 0, firstId: null, lastId: null }
    await this.#addOthers([info])
    return info
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
    const described = await mapInTurns(topics, (stats) => this.#describe(stats))
    await this.#addOthers(described)
    return { topics: described, more }
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

  /** Adds the subscribers of the other processes. A process that does not answer soon is left out. */
  async #addOthers(infos: readonly TopicInfo[]): Promise<void> {
    if (infos.length === 0 || this.#messenger.isAlone) return
    const topics = infos.map(({ topic }) => topic)
    const message = { kind: 'subscribers', topics } satisfies SubscribersMessage
    for (const { value } of await this.#messenger.gather(message, arrayOf(isNumber)))
      infos.forEach((info, index) => (info.subscribers += value[index] ?? 0))
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
