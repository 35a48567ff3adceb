/**
 * One process and several on one log, side by side: publishes, deliveries, the CPU of both, and the latency from one
 * process to another. Each process is a hub with a port of its own, so that the load is spread evenly and a publisher
 * and its subscribers can be at different processes. Hubs and load share all cores.
 */
import { generateKeyPairSync } from 'node:crypto'
import type { PublisherPlan } from '../load/publishers.js'
import { measurePublishing, startClock, type Measured } from '../measure.js'
import { isOnNats, type Options } from '../options.js'
import type { Row } from '../row.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const SUBSCRIBERS = 1_000
/** The events per second of the paced parts. */
const RATE = 50
const PUBLISHERS = 64
/**
 * The tokens of all publishers together, for each process. They are more than the hub keeps, so that each publish has a
 * token that the process has to verify.
 */
const TOKENS = 24_000
const CHECKED_BYTES = 4_000
/** The subscribers of the latency, which are few, so that the fan-out takes no time. */
const FEW = 20

const MIN_GAIN = 1.5
const MAX_CPU = 1.1
const MIN_PUBLISHES_ON_NATS = 20_000
const MAX_ADDED_LATENCY = 2

export const processes: Scenario = {
  name: 'processes',
  openFiles: () => SUBSCRIBERS,
  defaultLog: 'file',
  workers: 'several',
  async run(options) {
    const counts = [...new Set([1, 2, options.workers ?? 2])]
    const rows: Row[] = []
    for (const part of [publishes, checkedPublishes, deliveries, paced]) {
      const one: { row?: Row } = {}
      for (const count of counts) {
        const row = await part(options, count, one.row)
        one.row ??= row
        rows.push(row)
      }
    }
    rows.push(...(await latencies(options, counts)))
    return rows
  },
}

/** Publishes of 100 bytes whose tokens are known. */
async function publishes(options: Options, count: number, one: Row | undefined): Promise<Row> {
  const measured = await measurePublishes(options, count, { payload: 100 })
  const onNats = isOnNats(options) && count === 1
  return {
    ...rowOf(count, `${whole(measured.publishesPerSecond)} publishes/s`, measured, one, 'publishesPerSecond'),
    ...(onNats && {
      target: `>= ${whole(MIN_PUBLISHES_ON_NATS)}/s`,
      reached: measured.publishesPerSecond >= MIN_PUBLISHES_ON_NATS,
    }),
  }
}

/**
 * Publishes whose tokens and JSON are the bottleneck: each has 4 kB of JSON and a token (ES256) that its process has
 * not verified before.
 */
async function checkedPublishes(options: Options, count: number, one: Row | undefined): Promise<Row> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const tokens = Math.ceil((TOKENS * count) / PUBLISHERS)
  const plan = { payload: CHECKED_BYTES, tokens, privateKey, structured: true }
  const measured = await measurePublishes(options, count, plan, publicKey)
  const row = rowOf(count, `${whole(measured.publishesPerSecond)} checked/s`, measured, one, 'publishesPerSecond')
  if (count === 2) {
    row.target = `>= ${MIN_GAIN} x one process`
    row.reached = measured.publishesPerSecond >= MIN_GAIN * one!.publishesPerSecond!
  }
  return row
}

/** One topic with a thousand subscribers, and eight publishers that publish as fast as they get answers. */
function deliveries(options: Options, count: number, one: Row | undefined): Promise<Row> {
  return Stage.withHubs({ options, hubs: count }, async (stage) => {
    await stage.subscribe({ count: SUBSCRIBERS })
    const measured = await measurePublishing(stage, {
      publishers: 8,
      payload: 100,
      events: options.quick ? 2_000 : 8_000,
      streamsPerEvent: SUBSCRIBERS,
      warmUp: 1_000,
    })
    return rowOf(count, `${whole(measured.deliveriesPerSecond)} deliveries/s`, measured, one, 'deliveriesPerSecond')
  })
}

/** The CPU of a delivery. */
function paced(options: Options, count: number, one: Row | undefined): Promise<Row> {
  return Stage.withHubs({ options, hubs: count }, async (stage) => {
    await stage.subscribe({ count: SUBSCRIBERS })
    const measured = await measurePublishing(stage, {
      publishers: 4,
      payload: 100,
      events: RATE * (options.quick ? 5 : 20),
      rate: RATE,
      streamsPerEvent: SUBSCRIBERS,
      warmUp: RATE * 2,
    })
    const { cpuPerDelivery } = measured
    const row = rowOf(count, `${cpuPerDelivery.toFixed(1)} us CPU a delivery`, measured, one, 'cpuPerDelivery')
    if (count > 1) {
      row.target = `<= ${MAX_CPU} x one process`
      row.reached = cpuPerDelivery <= MAX_CPU * one!.cpuPerDelivery!
    }
    return row
  })
}

/** The latency with few subscribers: within a process, from the first process to the last, and back. */
async function latencies(options: Options, counts: readonly number[]): Promise<Row[]> {
  const rows: Row[] = []
  let within: Measured | undefined
  if (isOnNats(options)) {
    const { latency, ...rest } = await measureLatency({ ...options, log: 'file' }, 1, 'within')
    rows.push({ ...latencyRow('1 process, log file', { latency, ...rest }), scenario: 'processes' })
    const onNats = await measureLatency(options, 1, 'within')
    within = onNats
    const reached = onNats.latency.p50 <= latency.p50 + MAX_ADDED_LATENCY
    rows.push({ ...latencyRow('1 process', onNats), target: `<= ${MAX_ADDED_LATENCY} ms more than file`, reached })
  }
  within ??= await measureLatency(options, 1, 'within')
  if (rows.length === 0) rows.push(latencyRow('1 process', within))
  for (const count of counts.filter((processes) => processes > 1)) {
    rows.push(latencyRow(`first of ${count} to last`, await measureLatency(options, count, 'out')))
    rows.push(latencyRow(`last of ${count} to first`, await measureLatency(options, count, 'back')))
  }
  return rows
}

function measureLatency(options: Options, hubs: number, way: 'within' | 'out' | 'back'): Promise<Measured> {
  return Stage.withHubs({ options, hubs }, async (stage) => {
    const { ports } = stage
    const ends = [[ports[0]!], [ports.at(-1)!]]
    const [from, to] = way === 'back' ? ends.reverse() : ends
    await stage.subscribe({ count: FEW, ports: to! })
    return measurePublishing(stage, {
      ports: from!,
      publishers: 4,
      payload: 100,
      events: RATE * (options.quick ? 5 : 20),
      rate: RATE,
      streamsPerEvent: FEW,
      warmUp: RATE * 4,
    })
  })
}

function measurePublishes(
  options: Options,
  hubs: number,
  plan: Omit<PublisherPlan, 'ports' | 'publishers' | 'topics'>,
  publicKey?: string,
): Promise<Omit<Measured, 'latency'>> {
  return Stage.withHubs({ options, hubs, ...(publicKey !== undefined && { publicKey }) }, async (stage) => {
    const { publishers: load, ports } = stage
    await load.tell('connectPublishers', { ports, publishers: PUBLISHERS, topics: 100, ...plan })
    const { published: warm } = await load.tell('publish', { events: options.quick ? 5_000 : 20_000 })
    const events = options.quick ? 10_000 : Math.max(30_000, warm)
    const clock = startClock(stage)
    const { published, seconds } = await load.tell('publish', { events })
    return {
      ...clock(published),
      publishesPerSecond: published / seconds,
      deliveriesPerSecond: NaN,
      delivered: published,
      expected: events,
      faults: published === events ? [] : [`${events} events were published, ${published} were accepted`],
    }
  })
}

type Figure = 'publishesPerSecond' | 'deliveriesPerSecond' | 'cpuPerDelivery'

/** @param one the row of one process, which the figure is compared with */
function rowOf(
  count: number,
  words: string,
  measured: Omit<Measured, 'latency'> & Partial<Measured>,
  one: Row | undefined,
  figure: Figure,
): Row {
  const ratio = one ? `, x ${(measured[figure] / one[figure]!).toFixed(2)}` : ''
  return {
    scenario: 'processes',
    figure: `${count === 1 ? '1 process' : `${count} processes`}: ${words}${ratio}`,
    target: '',
    reached: undefined,
    ...measured,
  }
}

function latencyRow(words: string, measured: Measured): Row {
  return {
    scenario: 'processes',
    figure: `${words}: p50 ${measured.latency.p50.toFixed(2)}, p99 ${measured.latency.p99.toFixed(2)} ms`,
    target: '',
    reached: undefined,
    ...measured,
  }
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en')
}
