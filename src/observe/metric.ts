/**
 * The description of a metric, and its values at a scrape. Names and units follow the conventions of Prometheus:
 * seconds and bytes, and `_total` at the end of a counter's name.
 */
import { arrayOf, isNumber, isString, oneOf, optional, shapeOf, type Check } from '../model/shape.js'
import type { Histogram } from './histogram.js'

const TYPES = ['counter', 'gauge', 'histogram'] as const

/** A metric. Its values are read at a scrape; nothing is computed before. */
export interface Metric<Source> {
  name: string
  type: (typeof TYPES)[number]
  help: string
  /** The label of its values: never a topic or a subject, whose number has no limit. */
  label?: {
    name: string
    /** Every value of the label; missing: the values are not known before the start. */
    values?: readonly string[]
  }
  /** Returns the number; with a label, a number for each of its values; `undefined`: there is none. */
  read: (source: Source) => number | Readonly<Record<string, number>> | Histogram | undefined
}

/** One line of a metric. */
export interface Sample {
  value: number
  labels: Record<string, string | number>
  /** The name of the line, for a histogram. */
  metricName?: string | undefined
}

/** A metric with its values, as plain data. prom-client calls it `MetricObjectWithValues`. */
export interface Family {
  name: string
  help: string
  type: string
  values: Sample[]
}

const isLabel: Check<string | number> = (value) => isString(value) || isNumber(value)
const isLabels: Check<Record<string, string | number>> = (value): value is Record<string, string | number> =>
  typeof value === 'object' && value !== null && Object.values(value).every(isLabel)

/** Whether a value of another process consists of metrics with their values. */
export const isFamilies = arrayOf<Family>(
  shapeOf({
    name: isString,
    help: isString,
    type: oneOf(...TYPES),
    values: arrayOf(shapeOf<Sample>({ value: isNumber, labels: isLabels, metricName: optional(isString) })),
  }),
)

/** Reads a metric. */
export function familyOf<Source>({ name, type, help, label, read }: Metric<Source>, source: Source): Family {
  return { name, type, help, values: samplesOf(name, label?.name, read(source)) }
}

function samplesOf(name: string, label: string | undefined, value: ReturnType<Metric<unknown>['read']>): Sample[] {
  if (value === undefined) return []
  if (typeof value === 'number') return [{ value, labels: {} }]
  if (label === undefined) return bucketsOf(name, value as Histogram)
  return Object.entries(value as Record<string, number>).map(([key, count]) => ({
    value: count,
    labels: { [label]: key },
  }))
}

/** The buckets of a histogram of Prometheus are cumulative. */
function bucketsOf(name: string, { bounds, counts, sum }: Histogram): Sample[] {
  let count = 0
  const buckets = counts.map((of, index): Sample => {
    count += of
    return { value: count, labels: { le: bounds[index] ?? '+Inf' }, metricName: `${name}_bucket` }
  })
  return [
    ...buckets,
    { value: sum, labels: {}, metricName: `${name}_sum` },
    { value: count, labels: {}, metricName: `${name}_count` },
  ]
}

/** Returns metrics of which each value has a further label. */
export function withLabel(families: readonly Family[], label: string, value: string): Family[] {
  return families.map((family) => ({
    ...family,
    values: family.values.map((sample) => ({ ...sample, labels: { ...sample.labels, [label]: value } })),
  }))
}

/** Puts the values of several processes together. */
export function mergeFamilies(all: readonly (readonly Family[])[]): Family[] {
  const merged = new Map<string, Family>()
  for (const family of all.flat()) {
    const known = merged.get(family.name)
    // processes may have different versions, and so different types
    if (!known) merged.set(family.name, { ...family, values: [...family.values] })
    else if (known.type === family.type) known.values.push(...family.values)
  }
  return [...merged.values()]
}
