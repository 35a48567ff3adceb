/** The text of metrics, and the metrics of the process, both by prom-client. Loading it takes tens of milliseconds. */
import { collectDefaultMetrics, Registry, type Metric as PromMetric } from 'prom-client'
import type { Family } from './metric.js'

/** The content types of the two formats. */
export const FORMATS = {
  text: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
} as const

export type MetricsFormat = keyof typeof FORMATS

/**
 * Metrics of prom-client that walk all sockets of the process at each scrape. `process_open_fds` and
 * `fanfare_connections` say the same.
 */
const LEFT_OUT = ['handles', 'requests', 'resources'].flatMap((what) => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
])

/** The metrics of this process. There is one registry for all hubs of the process, since each would add observers. */
let processMetrics: Registry | undefined

/** Starts to observe the process: its garbage collections and the delay of its event loop. */
function observeProcess(): Registry {
  if (!processMetrics) {
    processMetrics = new Registry()
    collectDefaultMetrics({ register: processMetrics })
    for (const name of LEFT_OUT) processMetrics.removeSingleMetric(name)
  }
  return processMetrics
}

/**
 * Returns the metrics of this process. The first call starts to observe the process. Some metrics are read from files:
 * a process without a free file descriptor tells the result of the last reading.
 */
export async function readProcess(): Promise<Family[]> {
  const families: Family[] = []
  for (const metric of observeProcess().getMetricsAsArray()) {
    try {
      const { name, help, type, values } = (await (metric as unknown as { get(): Promise<unknown> }).get()) as Family
      // the delay of the event loop has no mean before its first sample, and JSON has no number for that
      families.push({ name, help, type, values: values.filter(({ value }) => Number.isFinite(value)) })
    } catch {
      // the other metrics are worth more than an error
    }
  }
  return families
}

/** Returns the text of metrics in a format. */
export async function print(families: readonly Family[], format: MetricsFormat): Promise<string> {
  const registry = new Registry()
  registry.setContentType(FORMATS[format] as typeof Registry.PROMETHEUS_CONTENT_TYPE)
  for (const family of families) registry.registerMetric(new ReadMetric(family) as unknown as PromMetric)
  return registry.metrics()
}

/** A metric whose values have been read. prom-client changes the name of a counter for OpenMetrics. */
class ReadMetric {
  name: string
  readonly type: string
  readonly #family: Family

  constructor(family: Family) {
    this.name = family.name
    this.type = family.type
    this.#family = family
  }

  async get(): Promise<Family> {
    return { ...this.#family, name: this.name }
  }
}
