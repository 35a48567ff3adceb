/** `fanfare bench`: puts a load on a hub, or on another server of events, and measures the latency. */
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { UsageError, type Process } from './command.js'
import { EXIT } from './exit-codes.js'
import { HubClient } from './http-client.js'
import { hubAddress, parseUrl, printAddress, type HubAddress, type HubOptions } from './hub-address.js'
import { print, ProgressLine } from './terminal.js'
import { Deliveries } from './bench/deliveries.js'
import { commandSender, Publisher, requestSender } from './bench/publisher.js'
import { printReport, type Report } from './bench/report.js'
import { microseconds, Stamps } from './bench/stamp.js'
import { Subscribers } from './bench/subscribers.js'
import { requireLocal, targetOf, type Target, type TargetOptions } from './bench/target.js'

export interface BenchOptions extends Omit<HubOptions, 'url'>, TargetOptions {
  subscribers: number
  topics: number
  rate: number
  duration: number
  warmup: number
  payload: number
  remote?: boolean | undefined
  json?: boolean | undefined
}

/** The time without a delivery after which missing events count as lost, in milliseconds. */
const QUIET = 3_000
/** The interval of the progress line, in milliseconds. */
const PROGRESS = 200

/**
 * Opens subscribers, publishes at a steady rate, and prints a report. The exit code is 1 if events were lost, repeated,
 * reordered or refused, or if streams were cut. SIGINT ends the load early.
 * @throws UsageError, CommandError
 */
export async function bench(url: string, options: BenchOptions, process: Process): Promise<void> {
  const address = options.kind === 'fanfare' ? await hubAddress({ ...options, url }, process) : foreign(url, options)
  const target = targetOf(address, options)
  if (!options.remote) requireLocal(target)
  if (options.publishCommand !== undefined && options.topics > 1)
    throw new UsageError('--publish-command publishes to one topic: leave out --topics.')
  const run = randomBytes(4).toString('hex')
  const topics = topicNames(run, options)
  const report = await measure(target, topics, new Stamps(run), options, process)
  if (options.kind === 'fanfare') await purge(new HubClient(address), topics)
  await print(process.stdout, printReport(report, { ...options, address: printAddress(address) }, process.stdout))
  if (!isClean(report)) process.exitCode = EXIT.failed
}

/** Other servers get the token of the option only, never that of the environment. */
function foreign(url: string, { token }: BenchOptions): HubAddress {
  return { ...parseUrl(url), ...(token === undefined ? {} : { token }) }
}

/** A topic of a URL template without `{topic}` is decided by the server, so there can be one only. */
function topicNames(run: string, { kind, topics, subscribeUrl }: BenchOptions): string[] {
  const isFixed = subscribeUrl !== undefined ? !subscribeUrl.includes('{topic}') : kind === 'sse'
  if (isFixed && topics > 1) throw new UsageError('--topics needs {topic} in --subscribe-url.')
  return Array.from({ length: topics }, (_, index) => `bench.${run}.${index}`)
}

/** The parts and the figures of a run. */
interface Measured {
  deliveries: Deliveries
  publisher: Publisher
  connectSeconds: number
  seconds: number
  ended: number
  loopDelay: number
}

async function measure(
  target: Target,
  topics: readonly string[],
  stamps: Stamps,
  options: BenchOptions,
  process: Process,
): Promise<Report> {
  const signal = process.interrupted()
  const progress = new ProgressLine(process.stderr)
  const deliveries = new Deliveries(options.subscribers, topics.length)
  const subscribers = new Subscribers(target, topics, stamps, deliveries)
  const connectedAt = performance.now()
  try {
    await subscribers.open(options.subscribers, signal, (open) =>
      progress.show(`${open} of ${options.subscribers} streams are open`),
    )
    const connectSeconds = (performance.now() - connectedAt) / 1e3
    const sender =
      options.publishCommand === undefined
        ? requestSender(target)
        : commandSender(options.publishCommand, process.stderr)
    const publisher = new Publisher(sender, topics, (number, at) => stamps.payload(number, at, options.payload))
    deliveries.compareWith((topic, number) => publisher.acceptedAt(topic, number))
    const timer = setInterval(
      () => progress.show(`${publisher.accepted} events published, ${deliveries.received} deliveries`),
      PROGRESS,
    )
    const times = await publishAndDeliver(publisher, deliveries, options, signal)
    clearInterval(timer)
    const { ended } = subscribers
    await sender.close()
    return reportOf({ deliveries, publisher, connectSeconds, ended, ...times })
  } finally {
    progress.clear()
    subscribers.close()
  }
}

/** Publishes for the time of the run, and waits for the deliveries. */
async function publishAndDeliver(
  publisher: Publisher,
  deliveries: Deliveries,
  { rate, warmup, duration }: BenchOptions,
  signal: AbortSignal,
): Promise<Pick<Measured, 'seconds' | 'loopDelay'>> {
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()
  const measureFrom = microseconds() + warmup * 1e3
  deliveries.measureFrom(measureFrom)
  await publisher.run({ rate, time: warmup + duration, signal })
  const seconds = Math.max(0, (microseconds() - measureFrom) / 1e6)
  await allDelivered(deliveries, publisher, signal)
  loop.disable()
  return { seconds, loopDelay: loop.percentile(99) / 1e6 }
}

/** Waits until every accepted event has reached its subscribers, or nothing more arrives. */
async function allDelivered(deliveries: Deliveries, publisher: Publisher, signal: AbortSignal): Promise<void> {
  let received = -1
  for (let since = performance.now(); performance.now() - since < QUIET && !signal.aborted;) {
    if (deliveries.received !== received) {
      received = deliveries.received
      since = performance.now()
    }
    if (deliveries.lost(publisher.counts) === 0) return
    await delay(20)
  }
}

function reportOf(parts: Measured): Report {
  const { deliveries, publisher, connectSeconds, seconds, ended, loopDelay } = parts
  const { latency } = deliveries
  const toMilliseconds = (value: number): number => (latency.count === 0 ? 0 : value / 1e3)
  return {
    connectSeconds,
    published: publisher.accepted,
    refused: publisher.failed,
    ...(publisher.failure === undefined ? {} : { refusal: publisher.failure }),
    delivered: deliveries.received,
    deliveriesPerSecond: seconds === 0 ? 0 : deliveries.measured / seconds,
    latency: {
      p50: toMilliseconds(latency.percentile(50)),
      p99: toMilliseconds(latency.percentile(99)),
      max: toMilliseconds(latency.max),
    },
    lost: deliveries.lost(publisher.counts),
    reordered: deliveries.reordered,
    repeated: deliveries.repeated,
    ended,
    loopDelay,
  }
}

/** Removes the events of the run from the log. Without an admin's token they stay until retention trims them. */
async function purge(client: HubClient, topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    try {
      await client.json(`/topics/${topic}/events`, { method: 'DELETE' })
    } catch {
      return
    }
  }
}

function isClean({ published, lost, reordered, repeated, refused, ended }: Report): boolean {
  return published > 0 && lost + reordered + repeated + refused + ended === 0
}
