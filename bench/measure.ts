/** Measures a hub while events are published to it: what arrives, when, and what it costs. */
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
  /** The hub's, in microseconds. */
  cpuPerDelivery: number
  /** The hub's, in MiB. */
  memory: number
  /** How much of a core the load took: near 1 while the hub's core has time left, the load is what was measured. */
  loadShare: number
  /** How much of a core the hub took. */
  hubShare: number
  /** What must not happen at any speed. */
  faults: string[]
}

export interface Publishing extends Omit<PublisherPlan, 'port' | 'topics'>, PublishPlan {
  topics?: number
  /** How many streams get each event. */
  streamsPerEvent: number
  /** How many events are published before anything is measured, so that the code is compiled. */
  warmUp: number
}

/** For how long nothing may arrive before what is still missing counts as lost, in milliseconds. */
const QUIET = 3_000

/** Publishes to the subscribers that are there, and waits until they have everything. */
export async function measurePublishing(
  stage: Stage,
  { streamsPerEvent, warmUp, events, rate, ...publishers }: Publishing,
): Promise<Measured> {
  await stage.publishers.tell('connectPublishers', { port: stage.server.port, topics: 1, ...publishers })
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

/** Publishes before anything is measured: what a group has received of it is forgotten, and answered. */
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

/** Waits until a group has received so many events, or none for a while. */
export function receive(stage: Stage, group: string, expected: number): Promise<Received> {
  return stage.subscribers.tell('receive', { group, expected, quiet: QUIET })
}

/** Says what went wrong. */
export function faultsOf({ delivered, disordered, misplaced, closed }: Received, expected: number): string[] {
  return [
    ...(delivered === expected ? [] : [`${expected} events were expected, ${delivered} came`]),
    ...(disordered === 0 ? [] : [`${disordered} events came out of the log's order`]),
    ...(misplaced === 0 ? [] : [`${misplaced} events came where another was to come`]),
    ...(closed === 0 ? [] : [`${closed} streams were closed`]),
  ]
}

/** Begins to measure what the processes use; the function that it returns ends that. */
export function startClock({ server, subscribers, publishers }: Stage) {
  const load = () => cpuSeconds(subscribers.pid) + cpuSeconds(publishers.pid)
  const before = { at: performance.now(), hub: cpuSeconds(server.pid), load: load() }
  return (deliveries: number) => {
    const seconds = (performance.now() - before.at) / 1e3
    const hub = cpuSeconds(server.pid) - before.hub
    return {
      cpuPerDelivery: (hub * 1e6) / deliveries,
      hubShare: hub / seconds,
      loadShare: (load() - before.load) / seconds,
      memory: residentKiB(server.pid) / 1024,
    }
  }
}

function rates({ published, seconds, startedAt }: Published, { delivered, lastAt }: Received) {
  return { publishesPerSecond: published / seconds, deliveriesPerSecond: (delivered * 1e6) / (lastAt - startedAt) }
}
