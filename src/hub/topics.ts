/** Topics: their retained events and their subscribers. */
import { mapInTurns } from '../event-loop/time-slice.js'
import { LRUCache } from 'lru-cache'
import type { EventLog, TopicsOptions, TopicsPage, TopicStats } from '../log/log.js'
import { wallNow } from '../model/clock.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'
import { Selection } from '../model/selection.js'
import { arrayOf, isNumber, isString, shapeOf } from '../model/shape.js'
import { requireTopic } from '../model/topic.js'
import type { ClusterMessage } from '../cluster/cluster.js'
import type { Messenger } from './cluster/messenger.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'
import type { HubFiniteTopics } from './finite/finite-topics.js'
import { rfc3339 } from './stream-info.js'
import type { Activity, TopicActivity } from './topic-activity.js'

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

/** The latest events of a topic. */
export interface TopicActivityInfo extends Omit<Activity, 'lastTime'> {
  /** When the newest event was published (RFC 3339); `null`: not known, since it is no longer kept. */
  lastTime: string | null
}

/** The number of topics whose newest event is read from the log at once. */
const READ_AT_ONCE = 32
/** The number of topics for which the time of their newest event is remembered. */
const REMEMBERED_TIMES = 10_000

/** Asks for the number of subscribers of each topic. */
interface SubscribersMessage extends ClusterMessage {
  kind: 'subscribers'
  topics: string[]
}

/** The parts of the hub that topics work with. */
interface TopicsSource {
  log: EventLog
  encoder: Encoder
  fanout: Fanout
  messenger: Messenger
  activity: TopicActivity
  finite: Pick<HubFiniteTopics, 'has'>
}

export class Topics {
  readonly #log: EventLog
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #messenger: Messenger
  readonly #activity: TopicActivity
  readonly #finite: TopicsSource['finite']
  /** The newest event of quiet topics. */
  readonly #newest = new LRUCache<string, { sequence: number; time: number }>({ max: REMEMBERED_TIMES })

  constructor({ log, encoder, fanout, messenger, activity, finite }: TopicsSource) {
    this.#finite = finite
    this.#activity = activity
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
    return this.#infos(await this.#log.topics(options, accepts))
  }

  /** As `list`, with the latest events of each topic. */
  async listActive(
    options: TopicsOptions,
    accepts: (topic: string) => boolean,
  ): Promise<{ topics: (TopicInfo & { activity: TopicActivityInfo })[]; more: boolean }> {
    const page = await this.#log.topics(options, accepts)
    const [{ topics, more }, activities] = await Promise.all([this.#infos(page), this.#activitiesOf(page.topics)])
    return { topics: topics.map((info, index) => ({ ...info, activity: activities[index]! })), more }
  }

  /**
   * Purges a topic. Streams that have not been sent its events get a gap notice.
   * @returns the number of purged events
   * @throws HubError `invalid-topic`, `reserved-topic`, `finite-topic`, `log-unavailable`
   */
  async purge(topic: string): Promise<number> {
    requireTopic(topic)
    if (this.#finite.has(topic))
      throw new HubError('finite-topic', `${quote(topic)} is a finite topic: delete it, instead of its messages.`)
    return this.#log.purge(topic)
  }

  async #infos({ topics, more }: TopicsPage): Promise<{ topics: TopicInfo[]; more: boolean }> {
    const described = await mapInTurns(topics, (stats) => this.#describe(stats))
    await this.#addOthers(described)
    return { topics: described, more }
  }

  /** The log is read only for topics whose events this process has not counted. */
  async #activitiesOf(topics: readonly TopicStats[]): Promise<TopicActivityInfo[]> {
    const now = wallNow()
    const activities = await mapInTurns(topics, ({ topic }) => this.#activity.read(topic, now))
    const infos: TopicActivityInfo[] = []
    for (let start = 0; start < topics.length; start += READ_AT_ONCE) {
      const some = topics.slice(start, start + READ_AT_ONCE).map(async (stats, index) => {
        const { lastTime, ...activity } = activities[start + index]!
        return { ...activity, lastTime: rfc3339(lastTime ?? (await this.#timeOf(stats))) }
      })
      infos.push(...(await Promise.all(some)))
    }
    return infos
  }

  /** Returns the time of the newest event of a topic; `undefined`: it has just been trimmed. */
  async #timeOf({ topic, last }: TopicStats): Promise<number | undefined> {
    const known = this.#newest.get(topic)
    if (known?.sequence === last) return known.time
    let time: number | undefined
    await this.#log.scan(new Selection([topic]), { after: last - 1, until: last }, (event) => {
      time = event.time
      return true
    })
    if (time !== undefined) this.#newest.set(topic, { sequence: last, time })
    return time
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
