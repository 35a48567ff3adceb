/**
 * Collects the metrics of the hub and of its process. A hub with `FANFARE_WORKERS` is one target of Prometheus: any
 * worker may answer a scrape, so the worker that answers collects the metrics of all.
 */
import fp from 'fastify-plugin'
import type { ClusterMessage } from '../cluster/cluster.js'
import { refusals, type ProblemCode } from '../errors.js'
import type { Hub } from '../hub/hub.js'
import { defaultRetainBytes } from '../log/open.js'
import { isString, nullable, shapeOf } from '../model/shape.js'
import type { MetricsFormat } from '../observe/exposition.js'
import { countsOf } from '../observe/histogram.js'
import { familyOf, isFamilies, mergeFamilies, withLabel, type Family, type Metric } from '../observe/metric.js'
import type { Settings } from '../settings.js'
import { hubOf } from './hub.js'

export const kRefused = Symbol('fanfare.refused')
export const kMetrics = Symbol('fanfare.metrics')

declare module 'fastify' {
  interface FastifyInstance {
    /** The number of refused requests by code. */
    [kRefused]: Refused
    /** Returns the text of the metrics, with its content type. */
    [kMetrics]: ReadMetrics
  }
}

export type Refused = Record<ProblemCode, number>

/** The text of the metrics in one format. */
export interface MetricsText {
  type: string
  text: string
}

export type ReadMetrics = (format: MetricsFormat) => Promise<MetricsText>

/** A process of a hub with `FANFARE_WORKERS`. */
export interface WorkerIdentity {
  number: string
  /** The hub that the worker belongs to. Other hubs may share its log. */
  instance: string
}

const CODES = Object.keys(refusals) as ProblemCode[]

/** Returns the counts of refusals at the start. */
export function noRefusals(): Refused {
  return countsOf(CODES)
}

/** The numbers of the server. */
interface Readings {
  refused: Refused
  /** The maximum size of the log in bytes; `undefined`: the log is the application's own. */
  limit: number | undefined
  /** The number of workers whose metrics are in the scrape; `undefined`: there are no workers. */
  workers?: number
}

export const SERVER_METRICS: readonly Metric<Readings>[] = [
  {
    name: 'fanfare_refusals_total',
    type: 'counter',
    help: 'Refused requests by the code of the error, with those that were answered by a stream that ends at once.',
    label: { name: 'code', values: CODES },
    read: ({ refused }) => refused,
  },
  {
    name: 'fanfare_log_limit_bytes',
    type: 'gauge',
    help: 'Maximum size of the log (FANFARE_RETAIN_BYTES).',
    read: ({ limit }) => limit,
  },
]

/** The metrics of a scrape of several workers. */
export const SCRAPE_METRICS: readonly Metric<Readings>[] = [
  {
    name: 'fanfare_scraped_workers',
    type: 'gauge',
    help: 'Workers whose metrics are in this scrape. Only with FANFARE_WORKERS.',
    read: ({ workers }) => workers,
  },
]

interface MetricsMessage extends ClusterMessage {
  kind: 'metrics'
  instance: string
}

interface WorkerMetrics {
  worker: string
  families: Family[]
}

const isAnswer = nullable(shapeOf<WorkerMetrics>({ worker: isString, families: isFamilies }))

interface Options extends Pick<Settings, 'log' | 'retainBytes'> {
  /** Whether the log is the application's own. */
  hasOwnLog: boolean
  /** Whether the metrics are served, so that the process is observed from its start. */
  isServed: boolean
  /** `undefined`: the hub has one process. */
  worker: WorkerIdentity | undefined
}

export default fp<Options>(
  async (app, { log, retainBytes, hasOwnLog, isServed, worker }) => {
    if (!app.hasDecorator(kRefused)) app.decorate(kRefused, noRefusals())
    const readings = {
      refused: app[kRefused],
      limit: hasOwnLog ? undefined : retainBytes || defaultRetainBytes(log),
    }
    // Not awaited: loading takes tens of milliseconds. Not at the first scrape: the process may have no free file
    // descriptor then.
    if (isServed) void loadExposition().then(({ readProcess }) => readProcess())
    const readOwn = () => readProcessAndHub(hubOf(app), readings)
    const readAll = worker ? gatherFrom(hubOf(app), worker, readings, readOwn) : readOwn
    let reading: Promise<Family[]> | undefined
    app.decorate(kMetrics, async (format: MetricsFormat) => {
      reading ??= readAll().finally(() => (reading = undefined)) // concurrent scrapes share a collection
      const [families, { FORMATS, print }] = await Promise.all([reading, loadExposition()])
      return { type: FORMATS[format], text: await print(families, format) }
    })
  },
  { name: 'fanfare-metrics', fastify: '5.x', dependencies: ['fanfare-hub'] },
)

function loadExposition() {
  return import('../observe/exposition.js')
}

async function readProcessAndHub(hub: Hub, readings: Readings): Promise<Family[]> {
  const { readProcess } = await loadExposition()
  return [
    ...(await hub.metrics()),
    ...SERVER_METRICS.map((metric) => familyOf(metric, readings)),
    ...(await readProcess()),
  ]
}

/**
 * Answers the other workers of this hub, and returns a function that collects the metrics of all workers. A worker that
 * does not answer soon is left out.
 */
function gatherFrom(
  { messenger }: Hub,
  { number, instance }: WorkerIdentity,
  readings: Readings,
  readOwn: () => Promise<Family[]>,
): () => Promise<Family[]> {
  const message = { kind: 'metrics', instance } satisfies MetricsMessage
  messenger.onRequest<MetricsMessage>('metrics', shapeOf({ instance: isString }), async (asked) =>
    asked.instance === instance ? ({ worker: number, families: await readOwn() } satisfies WorkerMetrics) : null,
  )
  return async () => {
    const [own, answers] = await Promise.all([readOwn(), messenger.gather(message, isAnswer)])
    const others = answers.flatMap(({ value }) => value ?? [])
    const workers = others.length + 1
    return [
      ...mergeFamilies(
        [{ worker: number, families: own }, ...others].map(({ worker, families }) =>
          withLabel(families, 'worker', worker),
        ),
      ),
      ...SCRAPE_METRICS.map((metric) => familyOf(metric, { ...readings, workers })),
    ]
  }
}
