/** The client of a hub. */
import { isCursor } from './cursor.js'
import { createHttp } from './http.js'
import type { EventsOptions } from './iterate.js'
import { later } from './later.js'
import { createLane, hasRoom, type Lane } from './lane.js'
import { createSharedStream, IDLE } from './shared-stream.js'
import type { Query } from './stream.js'
import { createSubscription, type InnerOptions } from './subscription.js'
import { shareAmongTabs } from './share.js'
import type {
  ConnectOptions,
  Handler,
  HubEvent,
  HubListeners,
  HubRequest,
  HubState,
  NewEvent,
  Present,
  PublishOptions,
  Receipt,
  Stop,
  SubscribeOptions,
} from './types.js'

export interface Hub {
  /** The hub's URL, with a slash at the end. */
  readonly url: string
  /** The state of the connection: of the worst one, if there are several. */
  readonly state: HubState
  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof HubListeners>(name: Name, listener: HubListeners[Name]): Stop
  /**
   * Subscribes to topics and patterns. The handler gets each event once, in order, or is told of a gap.
   * @returns ends the subscription
   */
  subscribe<Data = unknown>(
    patterns: string | readonly string[],
    handler: Handler<Data>,
    options?: SubscribeOptions,
  ): Stop
  /** Returns the events as an async iterable. Each loop is a subscription of its own, and reads as fast as it likes. */
  events<Data = unknown>(patterns: string | readonly string[], options?: EventsOptions): AsyncIterable<HubEvent<Data>>
  /**
   * Publishes an event. Repeats the request while the hub cannot be reached, with an id of its own, so that the event
   * is stored once.
   * @throws HubError
   */
  publish(topic: string, event: NewEvent, options?: PublishOptions): Promise<Receipt>
  /** Returns the subjects that are present on a topic. @throws HubError */
  presence(topic: string): Promise<Present[]>
  /** Calls `onChange` with the subjects that are present on a topic, at first and with each change. */
  presence(
    topic: string,
    onChange: (subjects: Present[]) => void,
    options?: Pick<SubscribeOptions, 'onState' | 'onError' | 'observe'>,
  ): Stop
  /** Acknowledges everything up to a cursor, for a named cursor. @throws HubError */
  acknowledge(name: string, cursor: string): Promise<void>
  /** Sends any other request, with the token. The path has no slash at the beginning. @throws HubError */
  request<Body = unknown>(method: string, path: string, request?: HubRequest): Promise<Body>
  /** Stops all subscriptions. */
  close(): void
}

/** The order of the states of open streams: the worst first. */
const WORST: HubState['status'][] = ['waiting', 'connecting', 'catching-up', 'live']

/**
 * Returns a client of a hub. It connects with the first subscription.
 * @param url the URL of the hub, with its prefix; in a page also a relative one
 */
export function connect(url: string, options: ConnectOptions = {}): Hub {
  const http = createHttp(url, options)
  const lanes = new Map<string, Lane>()
  const listeners: { [Name in keyof HubListeners]: Set<HubListeners[Name]> } = {
    state: new Set(),
    gap: new Set(),
    error: new Set(),
  }
  let state = IDLE
  /** Aborted when the client is closed. It can be used again. */
  let closing = new AbortController()

  function onLaneState(): void {
    const states = [...lanes.values()].map((lane) => lane.state)
    const [now = IDLE] = WORST.flatMap((status) => states.find((one) => one.status === status) ?? [])
    if (now === state) return
    state = now
    for (const listener of listeners.state) listener(now)
  }

  function laneFor(patterns: readonly string[], { slow, presence, observe, cursor }: SubscribeOptions): Lane {
    const query: Query = {
      slow: slow === 'latest' ? slow : undefined,
      presence: presence || undefined,
      observe: observe || undefined,
    }
    for (let n = 0; ; n++) {
      const key = JSON.stringify([query, cursor, n])
      const known = lanes.get(key)
      if (!known) {
        const isAlone = options.tabs === false || cursor !== undefined
        const lane = createLane(http, query, isAlone ? createSharedStream : shareAmongTabs(key), onLaneState)
        lanes.set(key, lane)
        return lane
      }
      if (cursor !== undefined && known.subscriptions.size > 0)
        throw new TypeError(`The named cursor "${cursor}" is in use.`)
      if (hasRoom(known, patterns)) return known
    }
  }

  function subscribe<Data>(
    asked: string | readonly string[],
    handler: Handler<Data>,
    options: InnerOptions = {},
  ): Stop {
    const patterns = [asked].flat()
    const { cursor, replay } = options
    const from = options.from instanceof Date ? options.from.toISOString() : options.from
    const position = isCursor(from) ? from : undefined
    const begin: Query = { cursor, from: position ? undefined : from, replay }
    const lane = laneFor(patterns, options)
    const subscription = createSubscription(
      lane,
      patterns,
      handler,
      options,
      position,
      JSON.stringify(begin) === '{}' ? undefined : begin,
      {
        onHandled({ id }) {
          if (id !== null) void acknowledger?.then(({ acknowledge }) => acknowledge(id))
        },
        onReopened: () => void acknowledger?.then(({ reopened }) => reopened()),
        onGap(gap) {
          for (const listener of listeners.gap) listener({ ...gap, patterns })
        },
        onError(error) {
          for (const listener of listeners.error) listener(error, patterns)
          return listeners.error.size > 0
        },
      },
    )
    const acknowledger =
      cursor === undefined || options.acknowledge === 'manual'
        ? undefined
        : later(() => import('./acknowledge.js'), { timeout: Infinity }).then(({ createAcknowledger }) =>
            createAcknowledger(http, cursor, subscription),
          )
    lane.subscriptions.add(subscription)
    lane.changed()
    subscription.settle()
    return () => subscription.stop()
  }

  /** Subscribes at once. The first event waits until the loop is loaded. */
  function openLoop<Data>(
    patterns: string | readonly string[],
    { signal, ...options }: EventsOptions,
  ): AsyncIterator<HubEvent<Data>, undefined> {
    let stop: Stop = () => undefined
    const loop = later(() => import('./iterate.js'), { timeout: Infinity }).then(({ createLoop }) =>
      createLoop<Data>(() => stop(), signal),
    )
    stop = subscribe<Data>(patterns, async (event) => (await loop).take(event), {
      ...options,
      onState: (state) => void loop.then(({ onState }) => onState(state)),
      onError: (error) => void loop.then(({ onError }) => onError(error)),
    })
    return {
      next: async () => (await loop).next(),
      async return() {
        stop()
        return (await loop).return()
      },
    }
  }

  function presence(topic: string): Promise<Present[]>
  function presence(topic: string, onChange: (subjects: Present[]) => void, options?: SubscribeOptions): Stop
  function presence(
    topic: string,
    onChange?: (subjects: Present[]) => void,
    options?: SubscribeOptions,
  ): Stop | Promise<Present[]> {
    const list = later(() => import('./presence.js'), { timeout: onChange ? Infinity : 0 }).then(
      ({ createPresenceList }) => createPresenceList(http, topic, onChange),
    )
    if (!onChange) return list.then(({ load }) => load())
    return subscribe<never>(topic, async (event) => (await list).take(event), {
      ...options,
      type: [],
      presence: true,
      reloads: true,
      snapshot: async ({ signal }) => (await list).load(signal),
    })
  }

  return {
    url: http.url,
    get state() {
      return state
    },
    on(name, listener) {
      listeners[name].add(listener)
      return () => void listeners[name].delete(listener)
    },
    subscribe,
    events: <Data>(patterns: string | readonly string[], options: EventsOptions = {}) => ({
      [Symbol.asyncIterator]: () => openLoop<Data>(patterns, options),
    }),
    async publish(topic, event, options) {
      const { signal } = closing
      const { publish } = await later(() => import('./publish.js'), { timeout: 60_000, ...options })
      return publish(http, topic, event, options, signal)
    },
    presence,
    async acknowledge(name, id) {
      const { acknowledge } = await later(() => import('./acknowledge.js'))
      return acknowledge(http, name, id)
    },
    request: (method, path, request) => http.request(method, path, request),
    close() {
      closing.abort()
      closing = new AbortController()
      for (const { subscriptions } of lanes.values()) for (const subscription of subscriptions) subscription.stop()
    },
  }
}
