/**
 * Many idle subscribers of one topic in the workers of one hub, and one event that reaches them all. The load is in
 * several processes with several loopback addresses, since a process may open a limited number of files, and an
 * address has a limited number of ports.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LoadProcess } from '../load/load-process.js'
import type { Received } from '../load/subscribers.js'
import { faultsOf, sum } from '../measure.js'
import { isOnNats, type Options } from '../options.js'
import { cpuSeconds, kernelMemory, residentKiB } from '../procfs.js'
import type { Row } from '../row.js'
import { EVERYBODY, Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const SUBSCRIBERS = 15_000
const WORKERS = 2
/** The maximum number of subscribers of a load process. */
const PER_LOAD = 18_750
/** The maximum memory of the hub for 150,000 subscribers, in MiB, and of fewer in proportion. */
const MAX_MIB = 2_384
const MAX_MIB_FOR = 150_000
/** How long the hub settles before its memory is measured, in milliseconds. */
const SETTLE = 3_000
/** How long the CPU of idle subscribers is measured, in milliseconds: two heartbeats. */
const IDLE = 30_000
/** The time limit for opening all streams, in milliseconds, and for the event. */
const CONNECT_TIMEOUT = 280_000
const QUIET = 20_000
/** A worker has this much room for more streams than its share, since a slower worker gets fewer. */
const SPARE = 1_100

export const many: Scenario = {
  name: 'many',
  openFiles: (options) => Math.max(perWorker(options), Math.ceil(countOf(options) / loadsOf(options))),
  defaultLog: 'file',
  workers: 'several',
  run(options) {
    const hub = { ...options, workers: options.workers ?? WORKERS }
    return Stage.withHub(hub, { FANFARE_MAX_CONNECTIONS: String(perWorker(options)) }, async (stage) => {
      const loads = Array.from({ length: loadsOf(options) }, () => LoadProcess.start(stage.loadRole))
      try {
        return [await measure(stage, loads, hub)]
      } finally {
        for (const load of loads) load.stop()
      }
    })
  },
}

async function measure(stage: Stage, loads: readonly LoadProcess[], options: Options): Promise<Row> {
  const count = countOf(options)
  const { pids } = stage
  const cpu = () => sum(pids, cpuSeconds)
  await sleep(SETTLE)
  const before = { memory: sum(pids, residentKiB), kernel: kernelMemory(), cpu: cpu() }

  const connecting = performance.now()
  await Promise.all(loads.map((load, index) => subscribe(stage, load, index, share(count, loads.length, index))))
  const connected = (performance.now() - connecting) / 1e3
  const connectCpu = cpu() - before.cpu
  await sleep(SETTLE)
  const memory = sum(pids, residentKiB)
  const kernel = kernelMemory()

  const idle = { at: performance.now(), cpu: cpu() }
  await sleep(options.quick ? IDLE / 6 : IDLE)
  const idleShare = ((cpu() - idle.cpu) * 1e3) / (performance.now() - idle.at)

  // the hub closes a connection without a request
  await stage.publishers.tell('connectPublishers', { ports: stage.ports, publishers: 1, topics: 1, payload: 100 })
  const eventCpu = cpu()
  const { startedAt, published } = await stage.publishers.tell('publish', { events: 1 })
  const received = add(
    await Promise.all(
      loads.map((load, index) =>
        load.tell('receive', {
          group: groupOf(index),
          expected: published * share(count, loads.length, index),
          quiet: QUIET,
        }),
      ),
    ),
  )
  const eventTime = (received.lastAt - startedAt) / 1e3
  const each = (memory - before.memory) / count
  const allowed = (MAX_MIB * count) / MAX_MIB_FOR
  const isBig = count >= MAX_MIB_FOR
  return {
    scenario: 'many',
    figure: `${whole(count)} in ${connected.toFixed(1)} s, the event in ${eventTime.toFixed(0)} ms`,
    target: isBig ? `<= ${whole(allowed)} MiB` : '',
    reached: isBig && !isOnNats(options) ? memory / 1024 <= allowed : undefined,
    delivered: received.delivered,
    expected: count * published,
    latency: received.latency,
    memory: memory / 1024,
    hubShare: idleShare,
    cpuPerDelivery: ((cpu() - eventCpu) * 1e6) / count,
    notes: [
      `${options.workers!} workers and their primary, ${loads.length} load processes; hub % is that of idle subscribers`,
      `the hub: ${each.toFixed(1)} KiB a subscriber besides the ${whole(before.memory / 1024)} MiB of processes without subscribers`,
      `the kernel, for both ends of each connection: ${perSubscriber(kernel.slab - before.kernel.slab, count)} of slab, ${perSubscriber(kernel.tcp - before.kernel.tcp, count)} of TCP buffers`,
      `CPU of the hub for a connection: ${((connectCpu * 1e6) / count).toFixed(0)} us`,
    ],
    faults: faultsOf(received, count * published),
  }
}

function subscribe(stage: Stage, load: LoadProcess, index: number, count: number) {
  const localAddress = `127.0.0.${index + 2}`
  return stage.subscribe({ count, group: groupOf(index), localAddress, timeout: CONNECT_TIMEOUT }, load)
}

function groupOf(index: number): string {
  return `${EVERYBODY}-${index}`
}

function countOf({ subscribers = SUBSCRIBERS }: Options): number {
  return subscribers
}

function loadsOf(options: Options): number {
  return Math.ceil(countOf(options) / PER_LOAD)
}

/** Returns the number of streams that a worker may have. */
function perWorker(options: Options): number {
  return Math.ceil(countOf(options) / (options.workers ?? WORKERS)) + SPARE
}

/** Returns the size of one of nearly equal parts. */
function share(count: number, parts: number, index: number): number {
  return Math.floor(count / parts) + (index < count % parts ? 1 : 0)
}

/** Adds up what the load processes have received. The quantiles are those of the slowest process. */
function add(all: readonly Received[]): Received {
  const total = (of: (received: Received) => number) => all.reduce((value, received) => value + of(received), 0)
  const most = (of: (received: Received) => number) => Math.max(...all.map(of))
  return {
    delivered: total(({ delivered }) => delivered),
    disordered: total(({ disordered }) => disordered),
    misplaced: total(({ misplaced }) => misplaced),
    closed: total(({ closed }) => closed),
    lastAt: most(({ lastAt }) => lastAt),
    latency: {
      p50: most(({ latency }) => latency.p50),
      p99: most(({ latency }) => latency.p99),
      max: most(({ latency }) => latency.max),
    },
  }
}

function perSubscriber(kib: number, count: number): string {
  return `${whole(kib / 1024)} MiB (${(kib / count).toFixed(1)} KiB each)`
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
