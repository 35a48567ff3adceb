/** The public API of the hub for applications (`app.hub`). It is small and stable. */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { PrincipalInput } from '../auth/principal-input.js'
import { createTokenIssuer, type IssueOptions, type IssueToken } from '../auth/token-issuer.js'
import type { EventGap, EventsOptions, HubEvent } from '../hub/event-reader.js'
import type { Receipt } from '../hub/publisher.js'
import { tracedPublish, tracedPublishAll } from '../hub/traced-publish.js'
import type { TopicInfo } from '../hub/topics.js'
import type { LogStats } from '../log/log.js'
import type { EventInput } from '../model/event.js'
import { requireTopic, requireTopicName } from '../model/topic.js'
import type { Settings } from '../settings.js'
import { hubOf } from './hub.js'
import { createPublicConnections, type FanfareConnections } from './public-connections.js'
import { createPublicStreams, type FanfareStreams } from './public-streams.js'
import { kTraces } from './traces.js'

declare module 'fastify' {
  interface FastifyInstance {
    hub: FanfareHub
  }
}

/** A subject that is present on a topic. */
export interface PresentSubject {
  subject: string
  /** The number of streams of the topic that the subject has. 0 while the hub waits for a reconnect. */
  connections: number
  /** When the subject joined (RFC 3339). */
  since: string
  /** The claim `info` of the subject's token; `null` if there is none. */
  info: unknown
}

/** The hub of an application. The application's code needs no token. */
export interface FanfareHub {
  /**
   * Publishes one event. Resolves when the event is durable.
   * @throws HubError naming the fault of the event, or the state of the log
   */
  publish(topic: string, event: EventInput): Promise<Receipt>
  /**
   * Publishes up to 1,000 events, all or none. Resolves when the events are durable.
   * @throws HubError as `publish`; its `index` is the index of the refused event
   */
  publishAll(events: readonly (EventInput & { topic: string })[]): Promise<Receipt[]>
  /**
   * Reads events: those since `from`, then each new event, in log order and each once. An item with `gap` stands for
   * missing events. Ends when `signal` is aborted or the application closes.
   * @throws HubError `invalid-pattern`, `reserved-topic`, `invalid-event`, `invalid-cursor`, `hub-closed`; the
   *   iteration itself `log-unavailable`
   */
  events(patterns: string | readonly string[], options?: EventsOptions): AsyncIterableIterator<HubEvent | EventGap>
  /**
   * Returns the subjects that are present on a topic, in the order in which they joined.
   * @throws HubError `invalid-topic`, `reserved-topic`
   */
  present(topic: string): Promise<PresentSubject[]>
  /**
   * Describes a topic. Every valid topic exists, even without events.
   * @throws HubError `invalid-topic`
   */
  topic(topic: string): Promise<TopicInfo>
  /**
   * Purges all events of a topic. Streams and event iterators that have not read these events get a gap.
   * @returns the number of purged events
   * @throws HubError `invalid-topic`, `reserved-topic`, `finite-topic`, `log-unavailable`
   */
  purge(topic: string): Promise<number>
  /**
   * Issues a token, signed with `jwtSecret` and with the `iss` and `aud` of the settings.
   * @throws SettingsError if the hub has no secret
   * @throws HubError `invalid-claims` for claims that the hub would refuse, and for grants that would be void
   */
  issueToken(principal: PrincipalInput, options: IssueOptions): string
  /** Counts, lists, describes and ends open streams. */
  readonly connections: FanfareConnections
  /** Creates finite topics, such as the answer of a model, and opens them. */
  readonly streams: FanfareStreams
  /** Returns the size of the log. */
  stats(): LogStats
  /**
   * Returns the metrics of the hub (`fanfare_…`) in the text format of Prometheus, for an application that serves
   * metrics of its own.
   */
  metrics(): Promise<string>
  /**
   * Ends all streams in small groups, spread over a time.
   * @param time in milliseconds, at most a day
   * @throws SettingsError for any other value; no stream is ended then
   */
  drain(time: number): Promise<void>
  /** Stops storing events. After it resolves, `process.exit()` loses nothing. */
  halt(): Promise<void>
  /** Ends all streams and event iterators, and closes the log. Closing the application does the same. */
  close(): Promise<void>
}

export default fp<Settings>(
  async (app, settings) => {
    app.decorate('hub', createPublicHub(app, createTokenIssuer(settings)))
  },
  { name: 'fanfare-public-hub', fastify: '5.x', dependencies: ['fanfare-hub', 'fanfare-traces'] },
)

function createPublicHub(app: FastifyInstance, issueToken: IssueToken): FanfareHub {
  const { [kTraces]: traces, log } = app
  const hub = hubOf(app)
  return {
    publish: (topic, event) => tracedPublish(hub, traces, topic, event),
    publishAll: (events) => tracedPublishAll(hub, traces, events),
    events: (patterns, options) => hub.events(patterns, options),
    async present(topic) {
      requireTopic(topic)
      return (await hub.present(topic)).map(({ subject, connections, since, info }) => ({
        subject,
        connections,
        since: new Date(since).toISOString(),
        info: info ?? null,
      }))
    },
    async topic(topic) {
      requireTopicName(topic)
      return hub.topic(topic)
    },
    purge: (topic) => hub.purge(topic),
    issueToken,
    connections: createPublicConnections(hub),
    streams: createPublicStreams(hub, (err, message) => log.error({ err }, message)),
    stats: () => hub.stats(),
    async metrics() {
      const { print } = await import('../observe/exposition.js')
      return print(await hub.metrics(), 'text')
    },
    drain: (time) => hub.drain(time),
    halt: () => hub.halt(),
    close: () => hub.close(),
  }
}
