/** What an application has of its hub: few members, which stay as they are. */
import fp from 'fastify-plugin'
import type { PrincipalInput } from '../auth/principal-input.js'
import { createTokenIssuer, type IssueOptions, type IssueToken } from '../auth/token-issuer.js'
import type { EventGap, EventsOptions, HubEvent } from '../hub/event-reader.js'
import type { Hub } from '../hub/hub.js'
import type { Receipt } from '../hub/publisher.js'
import type { TopicInfo } from '../hub/topics.js'
import type { LogStats } from '../log/log.js'
import type { EventInput } from '../model/event.js'
import { requireTopic } from '../model/topic.js'
import type { Settings } from '../settings.js'
import { createPublicConnections, type FanfareConnections } from './public-connections.js'

declare module 'fastify' {
  interface FastifyInstance {
    hub: FanfareHub
  }
}

/** A subject that is present on a topic. */
export interface PresentSubject {
  subject: string
  /** How many streams of the topic it has; 0: it had one a moment ago, and may come back. */
  connections: number
  /** When it came (RFC 3339). */
  since: string
  /** What its token says that others are told; `null`: nothing. */
  info: unknown
}

/** The hub of an application. Its code needs no token. */
export interface FanfareHub {
  /**
   * Publishes one event. Resolves when it is durable.
   * @throws HubError saying why it cannot be published
   */
  publish(topic: string, event: EventInput): Promise<Receipt>
  /**
   * Publishes up to 1,000 events, all or none. Resolves when they are durable.
   * @throws HubError as `publish`; its `index` is that of the event that was refused
   */
  publishAll(events: readonly (EventInput & { topic: string })[]): Promise<Receipt[]>
  /**
   * Reads events: from where `from` says, and then each that is published, in order and once. Missing events are told
   * by an item with `gap`. Ends when `signal` is aborted or the application closes.
   * @throws HubError `invalid-pattern`, `reserved-topic`, `invalid-event`, `invalid-cursor`, `hub-closed`; the
   *   iteration itself `log-unavailable`
   */
  events(patterns: string | readonly string[], options?: EventsOptions): AsyncIterableIterator<HubEvent | EventGap>
  /**
   * Returns the subjects that are present on a topic, in the order in which they came.
   * @throws HubError `invalid-topic`, `reserved-topic`
   */
  present(topic: string): Promise<PresentSubject[]>
  /**
   * Returns what there is of a topic. Every topic exists by name.
   * @throws HubError `invalid-topic`
   */
  topic(topic: string): Promise<TopicInfo>
  /**
   * Removes every event of a topic that is retained now. Streams and readers that have not been sent them are told of a
   * gap.
   * @returns how many events that were
   * @throws HubError `invalid-topic`, `reserved-topic`, `log-unavailable`
   */
  purge(topic: string): Promise<number>
  /**
   * Signs a token with `jwtSecret`, for whoever the application has let in. It has the `iss` and `aud` of the settings.
   * @throws SettingsError when the hub has no secret
   * @throws HubError `invalid-claims` for what the hub would not accept, and for grants that would be void
   */
  issueToken(principal: PrincipalInput, options: IssueOptions): string
  /** The streams that are open: counted, listed, described and ended. */
  readonly connections: FanfareConnections
  /** Returns how much the log holds. */
  stats(): LogStats
  /**
   * Ends every stream in small groups, spread over a time.
   * @param time in milliseconds, at most a day
   * @throws SettingsError when `time` is no such number; the hub goes on
   */
  drain(time: number): Promise<void>
  /** Stores nothing more. When it resolves, `process.exit()` can be called. */
  halt(): Promise<void>
  /** Ends every stream and every reader, and closes the log. The application does so when it closes. */
  close(): Promise<void>
}

export default fp<Settings>(
  async (app, settings) => {
    app.decorate('hub', createPublicHub(app.fanfareHub, createTokenIssuer(settings)))
  },
  { name: 'fanfare-public-hub', fastify: '5.x', dependencies: ['fanfare-hub'] },
)

function createPublicHub(hub: Hub, issueToken: IssueToken): FanfareHub {
  return {
    publish: (topic, event) => hub.publish(topic, event),
    publishAll: (events) => hub.publishAll(events),
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
    topic: (topic) => hub.topic(topic),
    purge: (topic) => hub.purge(topic),
    issueToken,
    connections: createPublicConnections(hub),
    stats: () => hub.stats(),
    drain: (time) => hub.drain(time),
    halt: () => hub.halt(),
    close: () => hub.close(),
  }
}
