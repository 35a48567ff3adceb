/** Measures a hub while events are published to it: deliveries, latencies, CPU and memory. */
import type { Published, PublisherPlan, PublishPlan } from './load/publishers.js'
import type { Received } from './load/subscribers.js'
import { cpuSeconds, residentKiB } from './procfs.js'
import { EVERYBODY, type Stage } from './stage.js'

export interface Measured {
  delivered: number
  expected: number
  publishesPerSecond: number
  deliveriesPerSecond: number
  /** In milliseconds. */
  latency: Received['latency']
  /** CPU of the hub, in microseconds. */
  cpuPerDelivery: number
  /** Memory of all processes of the hub, in MiB. */
  memory: number
  /**
   * The CPU of the load, as a share of one core. If it is near 1 and `hubShare` is not, the load was measured, not the
   * hub.
   */
  loadShare: number
  /** The CPU of all processes of the hub, as a share of one core. */
  hubShare: number
  /** The CPU of the NATS server of the bench, as a share of one core; `undefined`: there is none. */
  natsShare?: number
  /** Faults that must not happen at any speed. */
  faults: string[]
}

export interface Publishing extends Omit<PublisherPlan, 'ports' | 'topics' | 'isTls'>, PublishPlan {
  ports?: number[]
  topics?: number
  /** The number of streams that get each event. */
  streamsPerEvent: number
  /** The number of events that are published before the measurement, so that the code is compiled. */
  warmUp: number
}

/** The time without an arrival after which missing events count as lost, in milliseconds. */
const QUIET = 3_000

/** Publishes to the connected subscribers, and waits until they have every event. */
export async function measurePublishing(
  stage: Stage,
  { streamsPerEvent, warmUp, events, rate, ...publishers }: Publishing,
): Promise<Measured> {
  await stage.publishers.tell('connectPublishers', { ports: stage.ports, isTls: stage.isTls, topics: 1, ...publishers })
  const pace = rate === undefined ? {} : { rate }
  if (warmUp > 0) await publishBefore(stage, EVERYBODY, { events: warmUp, ...pace }, streamsPerEvent)

  const clock = startClock(stage)
  const published = await stage.publishers.tell('publish', { events, ...pace })
  const expected = published.published * streamsPerEvent
  const received = await receive(stage, EVERYBODY, expected)
  return {
    ...rates(published, received),
    ...clock(received.delivered),
    delivered: received.delivered,
    expected,
    latency: received.latency,
    faults: faultsOf(received, expected),
  }
}

/** Publishes before a measurement. Resets the counts of a group, and returns the counts before the reset. */
export async function publishBefore(
  stage: Stage,
  group: string,
  plan: PublishPlan,
  streamsPerEvent: number,
): Promise<Received> {
  await stage.publishers.tell('publish', plan)
  const received = await receive(stage, group, plan.events * streamsPerEvent)
  await stage.subscribers.tell('clear', { group })
  return received
}

/** Waits until a group has received `expected` events, or none for a while. */
export function receive(stage: Stage, group: string, expected: number): Promise<Received> {
  return stage.subscribers.tell('receive', { group, expected, quiet: QUIET })
}

/** Returns the faults in words. */
export function faultsOf({ delivered, disordered, misplaced, closed }: Received, expected: number): string[] {
  return [
    ...(delivered === expected ? [] : [`${expected} events were expected, ${delivered} arrived`]),
    ...(disordered === 0 ? [] : [`${disordered} events arrived out of log order`]),
    ...(misplaced === 0 ? [] : [`${misplaced} events arrived in place of another event`]),
    ...(closed === 0 ? [] : [`${closed} streams were closed`]),
  ]
}

/**
 * Starts measuring CPU and memory of the processes. The returned function ends the measurement and returns the result.
 */
export function startClock({ pids, natsPid, subscribers, publishers }: Stage) {
  const load = [subscribers.pid, publishers.pid]
  const nats = natsPid === undefined ? undefined : [natsPid]
  const before = { at: performance.now(), hub: sum(pids, cpuSeconds), load: sum(load, cpuSeconds) }
  const natsBefore = nats && sum(nats, cpuSeconds)
  return (deliveries: number) => {
    const seconds = (performance.now() - before.at) / 1e3
    const hub = sum(pids, cpuSeconds) - before.hub
    return {
      cpuPerDelivery: (hub * 1e6) / deliveries,
      hubShare: hub / seconds,
      loadShare: (sum(load, cpuSeconds) - before.load) / seconds,
      memory: sum(pids, residentKiB) / 1024,
      ...(nats && { natsShare: (sum(nats, cpuSeconds) - natsBefore!) / seconds }),
    }
  }
}

/** Returns the sum of a figure over processes. */
export function sum(pids: readonly number[], figure: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + figure(pid), 0)
}

function rates({ published, seconds, startedAt }: Published, { delivered, lastAt }: Received) {
  return { publishesPerSecond: published / seconds, deliveriesPerSecond: (delivered * 1e6) / (lastAt - startedAt) }
}
