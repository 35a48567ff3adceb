/**
 * The subscriptions that share one stream. Those with other parameters of the stream, such as `slow: 'latest'`, have
 * another lane.
 */
import { furthest, reaches } from './cursor.js'
import type { HubError } from './errors.js'
import type { Http } from './http.js'
import { GAP, LIVE, OPEN, type HubBlock, type Opening } from './reader.js'
import { IDLE, type SharedStream, type StreamUser } from './shared-stream.js'
import type { Query } from './stream.js'
import type { Subscription } from './subscription.js'
import type { Gap, HubEvent, HubState } from './types.js'

/** The maximum number of topics and patterns of a stream, by the hub. */
const MAX_PATTERNS = 100
/** The maximum length of the topics and patterns in a URL. A hub accepts heads of 16 KiB. */
const MAX_LENGTH = 8_000

export interface Lane extends StreamUser {
  readonly http: Http
  readonly subscriptions: Set<Subscription>
  /** The subscriptions, or what they want, have changed. */
  changed(): void
}

/** The source of a lane's blocks: its own stream, or that of another tab. */
export type OpenSource = (http: Http, user: StreamUser) => SharedStream

export function createLane(http: Http, query: Query, openSource: OpenSource, onState: () => void): Lane {
  const subscriptions = new Set<Subscription>()
  /** The subscriptions whose beginning the stream's URL has. */
  let inUrl: Subscription[] = []
  let connection: string | undefined
  let source: SharedStream | undefined

  const waiting = (): Subscription[] => [...subscriptions].filter((subscription) => subscription.isWaiting())
  const each = (visit: (subscription: Subscription) => void): void => {
    for (const subscription of subscriptions) visit(subscription)
  }

  function opened(id: string | undefined, opening: Opening, isContinuous: boolean) {
    const isNew = connection !== opening.connection
    const isBehind = (isNew || !isContinuous) && !reaches(lane.cursor, id)
    connection = opening.connection
    lane.held = opening.topics
    each((subscription) => {
      if (isBehind || !subscription.patterns.every((pattern) => lane.held.includes(pattern))) subscription.leave()
    })
    lane.cursor = furthest(lane.cursor, id)
    if (isNew) each((subscription) => subscription.reopened())
    for (const subscription of inUrl) subscription.attach()
    inUrl = []
  }

  const lane: Lane = {
    http,
    query,
    subscriptions,
    cursor: undefined,
    held: [],
    state: IDLE,
    wanted: () => [...new Set(waiting().flatMap(({ patterns }) => patterns))],
    start() {
      const asked = waiting()
      const [first, ...others] = asked.map((subscription) => subscription.start())
      const text = JSON.stringify(first)
      // a number of events is for all topics together
      const isShared = others.every((start) => JSON.stringify(start) === text && !Number(start?.['replay']))
      inUrl = isShared && first ? asked : []
      return isShared ? first : undefined
    },
    onBlock({ name, id, content }: HubBlock, isContinuous = true) {
      if (name === undefined) each((subscription) => subscription.take(content as HubEvent))
      else if (name === OPEN) opened(id, content as Opening, isContinuous)
      else if (name === GAP) {
        lane.cursor = id ?? lane.cursor // it may be an earlier one of the same log, or one of another log
        each((subscription) => subscription.takeGap(content as Gap, id))
      }
      lane.cursor = furthest(lane.cursor, id)
      if (name === OPEN || name === LIVE) each((subscription) => subscription.settle())
    },
    onState(state: HubState) {
      lane.state = state
      if (state.status === 'closed') {
        each((subscription) => subscription.leave())
        lane.cursor = undefined
        lane.held = []
      }
      each((subscription) => subscription.update())
      onState()
    },
    onRefused(patterns: readonly string[], error: HubError) {
      each((subscription) => {
        if (subscription.patterns.some((pattern) => patterns.includes(pattern))) subscription.fail(error)
      })
    },
    onComplete(patterns: readonly string[]) {
      each((subscription) => {
        if (subscription.patterns.every((pattern) => patterns.includes(pattern)))
          subscription.complete(inUrl.includes(subscription))
      })
    },
    changed() {
      source ??= openSource(http, lane)
      source.sync()
    },
  }
  return lane
}

/** Whether a stream that gets these patterns too is not too large. */
export function hasRoom(lane: Lane, patterns: readonly string[]): boolean {
  const all = new Set([...lane.wanted(), ...patterns])
  return all.size <= MAX_PATTERNS && [...all].join().length <= MAX_LENGTH
}
