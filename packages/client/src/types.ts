/** The public types. */
import type { HubError } from './errors.js'

/** An event, as a page of history and a stream with `format=json` have it. It has one of `data`, `text` and `bytes`. */
export interface HubEvent<Data = unknown> {
  /** The cursor of the event; `null`: the event is ephemeral. */
  id: string | null
  topic: string
  type?: string
  /** The time of publishing (RFC 3339). */
  time: string
  attributes?: Record<string, string>
  /** Any JSON value. */
  data: Data
  text?: string
  /** Base64. */
  bytes?: string
}

/** Events that a subscription asked for, and that the hub cannot send. */
export interface Gap {
  /**
   * `expired`: no longer kept. `epoch`: the hub has begun a new log. `future`: the cursor is beyond the end of the log.
   * `invalid`: not a cursor. `skipped`: left out after a stall, with `slow: 'latest'`.
   */
  reason: 'expired' | 'epoch' | 'future' | 'invalid' | 'skipped'
  /** The cursor after which events are missing. */
  after: string
  /** The cursor of the oldest event that is kept; `null`: there is none. The events from there on follow. */
  oldest: string | null
}

/** The state of a hub's client, or of one subscription. */
export interface HubState {
  /**
   * `connecting`: a request is on its way. `catching-up`: missed or requested events arrive, or a snapshot is loaded.
   * `live`: events arrive as they are published. `waiting`: the next attempt follows by itself. `closed`: there is no
   * stream, and none follows by itself.
   */
  status: 'connecting' | 'catching-up' | 'live' | 'waiting' | 'closed'
  /**
   * Why. Of `waiting`: the reason in `fanfare.close` (`busy`, `drain`, `lifetime`, `slow`, `revoked`, `expired`),
   * `network`, `silence`, `token`, `snapshot`, or the code of a temporary refusal. Of `closed`: `idle` (there is no
   * subscription), `stopped`, `ended` (a finite topic is complete) or `refused`.
   */
  reason?: string | undefined
  /** The error behind the reason. */
  error?: unknown
  /** The wait before the next attempt, in milliseconds. */
  retryIn?: number | undefined
  /** How a finite topic has ended: `done`, `error`, `cancelled` or `expired`. */
  end?: string | undefined
}

/** Ends a subscription. Its handler is not called again. */
export type Stop = () => void

/** A value, or a function that returns it. */
export type Provided = string | (() => string | Promise<string>)

export interface ConnectOptions {
  /**
   * The token, or a function that returns a token. The function is called before the token expires, and after the hub
   * has refused it. A string cannot be renewed.
   */
  token?: Provided
  /** Returns a new ticket (`POST /tickets`), for pages that have no token. Called for each stream. */
  tickets?: () => string | Promise<string>
  /** `true`: requests carry the cookies of the hub's origin. */
  cookies?: boolean
  /**
   * Whether all tabs with the same hub and credentials share one connection. Default: `true`. A string names the user,
   * where the client cannot see the user: with tickets, and with cookies.
   */
  tabs?: boolean | string
  /** Default: `fetch` where bodies can be read as streams, otherwise `event-source`. */
  transport?: 'fetch' | 'event-source'
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch
  /** The ceiling of the wait before a reconnect, in milliseconds. Default: 30,000. The `busy` of a hub has none. */
  maxWait?: number
  /**
   * The silence after which a stream is opened again, in milliseconds. Default: two and a half times the interval of
   * the hub's heartbeats.
   */
  silence?: number
}

export interface SnapshotRequest {
  /** The gap that makes the snapshot necessary; missing at the beginning of the subscription. */
  gap?: Gap | undefined
  /** Aborted when the subscription stops. */
  signal: AbortSignal
}

export interface SubscribeOptions {
  /**
   * Where to begin. `start`: every event since the topics began. A `Date` or a time (RFC 3339): every event from then
   * on. A cursor: every event after it. Default: events that are published from now on.
   */
  from?: Date | string
  /**
   * Instead of `from`: the retained events that come first. A number: the newest of all topics, up to 1,000. `all`:
   * every retained event. `latest`: the newest event of each topic. Trimmed events are no gap.
   */
  replay?: number | 'all' | 'latest'
  /** Only events of these types. */
  type?: string | readonly string[]
  /** Called before the events that follow a gap. */
  onGap?: (gap: Gap) => void
  /** Called after the last event of each finite topic, with the topic and how it has ended. */
  onEnd?: (ending: { topic: string; end: string }) => void
  /**
   * Loads the state that the events change: at the beginning, unless there is `from` or `replay`, and after each gap.
   * The events that follow are delivered once it resolves. If it resolves with the cursor up to which the state has the
   * events, the events up to there are left out. It is repeated after a while if it fails.
   */
  snapshot?: (request: SnapshotRequest) => unknown
  /**
   * The name of a named cursor: the subscription begins after the last acknowledged event. `from` and `replay` apply to
   * a new cursor only.
   */
  cursor?: string
  /**
   * `auto` (default): an event is acknowledged when its handler returns, or when the promise of the handler resolves.
   * `manual`: only by `hub.acknowledge`.
   */
  acknowledge?: 'auto' | 'manual'
  /** `latest`: after a stall, only the newest event of each topic. */
  slow?: 'resume' | 'latest'
  /** `true`: also `fanfare.join` and `fanfare.leave`. Needs a `presence` grant. */
  presence?: boolean
  /** `true`, for admins: the stream is neither present nor counted among the subscribers. */
  observe?: boolean
  /** Called with each state of the subscription. */
  onState?: (state: HubState) => void
  /** Called with a final refusal, and with what the handler or the snapshot throws. */
  onError?: (error: unknown) => void
}

/** Takes an event. The next event follows when the returned promise, if any, has settled. */
export type Handler<Data = unknown> = (event: HubEvent<Data>) => unknown

/** What is published: one of `data`, `text` and `bytes`. */
export interface NewEvent {
  data?: unknown
  text?: string
  /** Base64. */
  bytes?: string
  type?: string
  /** The publisher's own id; default: a random one. */
  id?: string
  attributes?: Record<string, string>
  /** `true`: never stored, sent to the current subscribers only, and not repeated if the hub does not answer. */
  ephemeral?: boolean
}

export interface PublishOptions {
  signal?: AbortSignal | undefined
  /**
   * How long the hub has to take the event, in milliseconds. The request is repeated meanwhile. Default: 60,000;
   * `Infinity`: until the signal is aborted.
   */
  timeout?: number
}

/** The hub's answer to a publisher. */
export interface Receipt {
  /** The cursor of the event; `null`: it is ephemeral. */
  id: string | null
  topic: string
  /** Whether the topic had an event with this publisher id already. */
  duplicate: boolean
  /** The number of subscribers that get the event from the process that answered. */
  subscribers: number
}

/** A subject that is present on a topic. */
export interface Present {
  subject: string
  connections: number
  /** RFC 3339 */
  since: string
  /** The value of `fanfare.info` in the token. */
  info: unknown
}

export interface HubRequest {
  /** Sent as JSON. */
  body?: unknown
  signal?: AbortSignal | undefined
  /** How long the hub has to answer, in milliseconds. Default: 15,000. */
  timeout?: number
  headers?: Record<string, string>
}

/** The events of a hub's client, by name. */
export interface HubListeners {
  state: (state: HubState) => void
  /** A gap of a subscription that has neither `onGap` nor `snapshot`. */
  gap: (gap: Gap & { patterns: readonly string[] }) => void
  /** An error of a subscription that has no `onError`. Without a listener it is thrown as an uncaught error. */
  error: (error: unknown, patterns: readonly string[]) => void
}

export type { HubError }
