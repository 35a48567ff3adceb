/** The metrics of the hub. `docs/metrics.md` lists them. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { EventLog, LogStats } from '../log/log.js'
import { countsOf } from '../observe/histogram.js'
import { familyOf, type Family, type Metric } from '../observe/metric.js'
import type { Messenger } from './cluster/messenger.js'
import type { NodeReports } from './cluster/node-reports.js'
import type { Connections } from './connections.js'
import type { Fanout } from './fanout.js'
import { END_REASONS, GAP_REASONS, PUBLISH_OUTCOMES, STALL_OUTCOMES, type HubFigures } from './figures.js'
import type { Lifecycle } from './lifecycle.js'
import type { Sent } from './stats.js'

/** The states of open streams. */
const STATES = ['live', 'catching-up', 'waiting'] as const

/** The parts of the hub that metrics read. */
export interface MetricsSource {
  version: string
  figures: HubFigures
  connections: Connections
  fanout: Fanout
  log: EventLog
  lifecycle: Lifecycle
  messenger: Messenger
  reports: NodeReports
  /** Returns what has been sent to subscribers since the start. */
  sent: () => Sent
}

/** The numbers that are computed once for all metrics of a scrape. */
interface Readings extends Omit<MetricsSource, 'sent'> {
  states: Record<(typeof STATES)[number], number>
  /** The greatest lag of a stream. */
  lag: number
  sent: Sent
  stored: LogStats
}

export const HUB_METRICS: readonly Metric<Readings>[] = [
  {
    name: 'fanfare_build_info',
    type: 'gauge',
    help: 'Always 1. The label has the version of the hub.',
    label: { name: 'version' },
    read: ({ version }) => ({ [version]: 1 }),
  },
  {
    name: 'fanfare_draining',
    type: 'gauge',
    help: '1 while the hub ends its streams because it is about to stop.',
    read: ({ lifecycle }) => Number(lifecycle.draining),
  },
  {
    name: 'fanfare_connections',
    type: 'gauge',
    help: 'Open streams by state, with the live reads of finite topics. A stream reads the log (catching-up), gets new events (live), or waits for its full socket (waiting).',
    label: { name: 'state', values: STATES },
    read: ({ states }) => states,
  },
  {
    name: 'fanfare_connections_opened_total',
    type: 'counter',
    help: 'Streams that were opened.',
    read: ({ figures }) => figures.opened,
  },
  {
    name: 'fanfare_connections_closed_total',
    type: 'counter',
    help: 'Streams that have ended, by reason. The reason is that of the last block, ended if the topic has ended, gone if the peer has closed the stream, or answered for a long poll.',
    label: { name: 'reason', values: END_REASONS },
    read: ({ figures }) => figures.ended,
  },
  {
    name: 'fanfare_subscriptions',
    type: 'gauge',
    help: 'Topics and patterns of all open streams, counted for each stream.',
    read: ({ fanout, connections }) => fanout.subscriptions + connections.readCount,
  },
  {
    name: 'fanfare_subscribed_patterns',
    type: 'gauge',
    help: 'Distinct topics and patterns of all open streams, without the live reads of finite topics.',
    read: ({ fanout }) => fanout.topics,
  },
  {
    name: 'fanfare_published_events_total',
    type: 'counter',
    help: 'Events that this process has taken from publishers, by outcome, with the messages and the ends of finite topics.',
    label: { name: 'outcome', values: PUBLISH_OUTCOMES },
    read: ({ figures }) => figures.published,
  },
  {
    name: 'fanfare_dispatched_events_total',
    type: 'counter',
    help: 'Events that this process has dispatched to its streams, whichever process has published them.',
    read: ({ figures }) => figures.dispatched.events,
  },
  {
    name: 'fanfare_dispatched_bytes_total',
    type: 'counter',
    help: 'Payload bytes of the dispatched events.',
    read: ({ figures }) => figures.dispatched.bytes,
  },
  {
    name: 'fanfare_sent_events_total',
    type: 'counter',
    help: 'Deliveries: events that were handed to sockets, counted for each subscriber: in streams, in pages of history, and as messages of finite topics.',
    read: ({ sent }) => sent.events,
  },
  {
    name: 'fanfare_sent_bytes_total',
    type: 'counter',
    help: 'Bytes that were handed to sockets with the sent events, without HTTP headers.',
    read: ({ sent }) => sent.bytes,
  },
  {
    name: 'fanfare_publish_latency_seconds',
    type: 'histogram',
    help: 'Time from a publish until the sockets of all live streams have the event, without the live reads of finite topics. One publish of eight is measured.',
    read: ({ figures }) => figures.latency,
  },
  {
    name: 'fanfare_append_duration_seconds',
    type: 'histogram',
    help: 'Time from a publish until the log has stored its events. One publish of eight is measured.',
    read: ({ figures }) => figures.appends,
  },
  {
    name: 'fanfare_sweep_duration_seconds',
    type: 'histogram',
    help: 'Time of one part of a sweep, which writes new events to streams. Other work has its turn between two parts.',
    read: ({ figures }) => figures.sweeps,
  },
  {
    name: 'fanfare_batch_events',
    type: 'histogram',
    help: 'Events of a batch of live events. All streams of a feed share a batch.',
    read: ({ figures }) => figures.batches,
  },
  {
    name: 'fanfare_max_lag_events',
    type: 'gauge',
    help: 'Greatest lag of an open stream: events of the log, on any topic, that follow its cursor.',
    read: ({ lag }) => lag,
  },
  {
    name: 'fanfare_stalls_total',
    type: 'counter',
    help: 'Streams whose socket was full, by what followed: the frames of the feed (recovered), the log (resumed), only the newest event of each topic (skipped), the end by the hub (ended) or by the peer (gone).',
    label: { name: 'outcome', values: STALL_OUTCOMES },
    read: ({ figures }) => figures.stalls,
  },
  {
    name: 'fanfare_gaps_total',
    type: 'counter',
    help: 'Gaps that streams were told of, by reason.',
    label: { name: 'reason', values: GAP_REASONS },
    read: ({ figures }) => figures.gaps,
  },
  {
    name: 'fanfare_log_topics',
    type: 'gauge',
    help: 'Topics with retained events. Every process of the log has the same number.',
    read: ({ stored }) => stored.topics,
  },
  {
    name: 'fanfare_log_events',
    type: 'gauge',
    help: 'Retained events. Every process of the log has the same number.',
    read: ({ stored }) => stored.events,
  },
  {
    name: 'fanfare_log_bytes',
    type: 'gauge',
    help: 'Size of the retained events in the log. Every process of the log has the same number.',
    read: ({ stored }) => stored.bytes,
  },
  {
    name: 'fanfare_log_appended_events_total',
    type: 'counter',
    help: 'Events that were ever appended to the log: its newest sequence. Every process of the log has the same number.',
    read: ({ log }) => log.view.head,
  },
  {
    name: 'fanfare_log_removed_events_total',
    type: 'counter',
    help: 'Events that were ever trimmed or purged. Every process of the log has the same number.',
    read: ({ log, stored }) => Math.max(0, log.view.head - stored.events),
  },
  {
    name: 'fanfare_log_writable',
    type: 'gauge',
    help: '0 while the log cannot store events.',
    read: ({ log }) => Number(log.view.failure === undefined),
  },
  {
    name: 'fanfare_log_leader',
    type: 'gauge',
    help: '1 if this process writes the log. Only for a log that one of several processes writes.',
    read: ({ messenger }) => leads(messenger),
  },
  {
    name: 'fanfare_log_transaction_duration_seconds',
    type: 'histogram',
    help: 'Time of a transaction of the log in a folder, with its flush to disk. Only the process that writes the log has any.',
    read: ({ log }) => log.transactions?.durations,
  },
  {
    name: 'fanfare_log_transaction_events',
    type: 'histogram',
    help: 'Events that a transaction of the log in a folder has stored.',
    read: ({ log }) => log.transactions?.events,
  },
  {
    name: 'fanfare_cluster_nodes',
    type: 'gauge',
    help: 'Running processes of the log that this process knows, with itself.',
    read: ({ messenger }) => messenger.nodes().length,
  },
  {
    name: 'fanfare_cluster_lag_events',
    type: 'gauge',
    help: 'Events of the log that another process has and this one does not have yet. The others report every two seconds.',
    read: ({ reports }) => reports.lag(),
  },
]

/** Reads all metrics of the hub. */
export async function readMetrics({ sent, ...source }: MetricsSource): Promise<Family[]> {
  const { connections, fanout, log } = source
  const states: Record<string, number> = countsOf(STATES)
  const { head } = fanout
  let lag = 0
  await mapInTurns(connections.all(), (stream) => {
    if (stream.state === 'closed') return
    states[stream.state]!++
    lag = Math.max(lag, stream.lag(head))
  })
  const readings = { ...source, states: states as Readings['states'], lag, sent: sent(), stored: log.view.stats() }
  return HUB_METRICS.map((metric) => familyOf(metric, readings))
}

function leads(messenger: Messenger): number | undefined {
  const leader = messenger.leader()
  return leader === undefined ? undefined : Number(leader === messenger.node)
}
