/**
 * What the hub counts all the time, as plain numbers. The statistics and the metrics read them. The counts of streams
 * are not here: each stream counts what it has been sent.
 */
import { COUNTS, countsOf, Histogram, TIMES } from '../observe/histogram.js'
import type { CloseReason, GapReason } from '../wire/sse.js'

/** How a published event ended: `duplicate`: nothing was stored. */
export const PUBLISH_OUTCOMES = ['stored', 'ephemeral', 'duplicate'] as const
export type PublishOutcome = (typeof PUBLISH_OUTCOMES)[number]

/**
 * Why a stream has ended; `ended`: its topic has ended; `gone`: its peer has closed it; `answered`: it was a long poll
 * of a finite topic.
 */
export const END_REASONS = [
  'expired',
  'revoked',
  'drain',
  'slow',
  'lifetime',
  'busy',
  'ended',
  'gone',
  'answered',
] as const satisfies (CloseReason | 'ended' | 'gone' | 'answered')[]
export type EndReason = (typeof END_REASONS)[number]

export const GAP_REASONS = ['expired', 'epoch', 'future', 'invalid', 'skipped'] as const satisfies GapReason[]

/**
 * What happened to a live stream whose socket was full: it got the frames that its feed still had (`recovered`), the
 * events from the log (`resumed`), only the newest event of each topic (`skipped`), or it was ended by the hub
 * (`ended`) or by its peer (`gone`).
 */
export const STALL_OUTCOMES = ['recovered', 'resumed', 'skipped', 'ended', 'gone'] as const

/** The buckets of the parts of a sweep, in seconds. A part is to take 1.5 ms at most. */
const SWEEP_TIMES = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.001_5, 0.002_5, 0.005, 0.01, 0.05]

/** What has been sent to subscribers. */
export interface Sent {
  events: number
  bytes: number
}

export class HubFigures {
  /** The events that this process has taken from publishers. */
  readonly published = countsOf(PUBLISH_OUTCOMES)
  /** The events that this process has dispatched to its streams, whichever process has published them. */
  readonly dispatched = { events: 0, bytes: 0 }
  /** The events and the bytes in the answers to requests: pages of history, and reads of finite topics. */
  readonly answered: Sent = { events: 0, bytes: 0 }
  /** The streams that were opened. */
  opened = 0
  readonly ended = countsOf(END_REASONS)
  readonly gaps = countsOf(GAP_REASONS)
  readonly stalls = countsOf(STALL_OUTCOMES)
  /** The time of each part of a sweep, in seconds. */
  readonly sweeps = new Histogram(SWEEP_TIMES)
  /** The number of events of each batch of live events. The streams of a feed share its batches. */
  readonly batches = new Histogram(COUNTS)
  /** The time from a publish until the sockets of all live streams have the event, in seconds. Sampled. */
  readonly latency = new Histogram(TIMES)
  /** The time from a publish until the log has stored its events, in seconds. Sampled. */
  readonly appends = new Histogram(TIMES)
}
