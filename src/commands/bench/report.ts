/** The results of a load, as a table or as JSON. */
import { tableLines } from '../table.js'
import { painter } from '../terminal.js'

export interface Report {
  /** How long it took to open all streams, in seconds. */
  connectSeconds: number
  /** The number of events that the server accepted, and that it did not, the warm-up included. */
  published: number
  refused: number
  /** The reason of the first refusal. */
  refusal?: string
  delivered: number
  /** Without the warm-up. */
  deliveriesPerSecond: number
  /** In milliseconds, from the time when an event was due until a subscriber had it, without the warm-up. */
  latency: { p50: number; p99: number; max: number }
  lost: number
  reordered: number
  repeated: number
  /** The number of streams that ended before they should. */
  ended: number
  /** The 99th percentile of the delay of the load generator's own event loop, in milliseconds. */
  loopDelay: number
}

export interface ReportOptions {
  address: string
  kind: string
  subscribers: number
  topics: number
  rate: number
  duration: number
  payload: number
  json?: boolean | undefined
}

/** A delay of its own event loop above this makes the load generator part of what it measures, in milliseconds. */
const BUSY = 30

/** Returns the report as text that ends with a line break. */
export function printReport(report: Report, options: ReportOptions, stdout: NodeJS.WriteStream): string {
  const { address, kind, subscribers, topics, rate, duration, payload } = options
  if (options.json)
    return `${JSON.stringify({ target: address, kind, subscribers, topics, rate, duration, payload, ...report })}\n`
  const paint = painter(stdout)
  const fault = (count: number): string => (count === 0 ? '0' : paint('red', count.toLocaleString('en')))
  const { latency } = report
  const rows = [
    ['target', `${address} (${kind})`],
    [
      'load',
      `${subscribers} subscribers, ${topics} ${topics === 1 ? 'topic' : 'topics'}, ${rate} events/s of ${payload} bytes for ${duration / 1e3} s`,
    ],
    ['connected', `in ${report.connectSeconds.toFixed(2)} s`],
    ['published', `${report.published.toLocaleString('en')} events`],
    [
      'delivered',
      `${report.delivered.toLocaleString('en')}, ${Math.round(report.deliveriesPerSecond).toLocaleString('en')}/s`,
    ],
    ['latency', `p50 ${print(latency.p50)}  p99 ${print(latency.p99)}  max ${print(latency.max)}`],
    ['lost', fault(report.lost)],
    ['reordered', fault(report.reordered)],
    ['repeated', fault(report.repeated)],
    ...(report.refused > 0 ? [['refused', `${fault(report.refused)}: ${report.refusal ?? ''}`]] : []),
    ...(report.ended > 0 ? [['ended', `${fault(report.ended)} streams ended early`]] : []),
    ...(report.loopDelay > BUSY
      ? [
          [
            'note',
            paint(
              'yellow',
              `this load generator was busy itself (${report.loopDelay.toFixed(0)} ms): the latency is partly its own`,
            ),
          ],
        ]
      : []),
  ]
  return `${tableLines([{ title: '' }, { title: '' }], rows, false).join('\n')}\n`
}

function print(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`
}
