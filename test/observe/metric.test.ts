import t from 'tap'
import { Histogram } from '../../src/observe/histogram.js'
import { familyOf, isFamilies, mergeFamilies, withLabel, type Family } from '../../src/observe/metric.js'

const gauge = (name: string, value: number): Family => ({
  name,
  help: 'a number',
  type: 'gauge',
  values: [{ value, labels: {} }],
})

await t.test('a metric is a number, a number for each label, or a histogram', (t) => {
  const latency = new Histogram([0.1, 1])
  for (const value of [0.05, 0.5, 0.6, 7]) latency.observe(value)
  const source = { size: 3, refused: { draining: 1, 'not-found': 0 }, latency, missing: undefined }
  const metric = { help: '…', type: 'counter' } as const
  t.strictSame(familyOf({ ...metric, name: 'size', read: ({ size }) => size }, source).values, [
    { value: 3, labels: {} },
  ])
  t.strictSame(
    familyOf({ ...metric, name: 'refused', label: { name: 'code' }, read: ({ refused }) => refused }, source).values,
    [
      { value: 1, labels: { code: 'draining' } },
      { value: 0, labels: { code: 'not-found' } },
    ],
  )
  t.strictSame(familyOf({ ...metric, name: 'missing', read: ({ missing }) => missing }, source).values, [])
  t.strictSame(
    familyOf({ ...metric, type: 'histogram', name: 'latency', read: ({ latency }) => latency }, source).values,
    [
      { value: 1, labels: { le: 0.1 }, metricName: 'latency_bucket' },
      { value: 3, labels: { le: 1 }, metricName: 'latency_bucket' },
      { value: 4, labels: { le: '+Inf' }, metricName: 'latency_bucket' },
      { value: 0.05 + 0.5 + 0.6 + 7, labels: {}, metricName: 'latency_sum' },
      { value: 4, labels: {}, metricName: 'latency_count' },
    ],
    'the buckets are cumulative',
  )
  t.end()
})

await t.test('the metrics of workers are put together by name, each with its worker', (t) => {
  const one = withLabel([gauge('a', 1), gauge('b', 2)], 'worker', '1')
  const two = withLabel([gauge('a', 3), gauge('new', 4)], 'worker', '2')
  t.strictSame(
    mergeFamilies([one, two]).map(({ name, values }) => [name, values.map(({ value, labels }) => [labels, value])]),
    [
      [
        'a',
        [
          [{ worker: '1' }, 1],
          [{ worker: '2' }, 3],
        ],
      ],
      ['b', [[{ worker: '1' }, 2]]],
      ['new', [[{ worker: '2' }, 4]]],
    ],
  )
  t.equal(one[0]!.values.length, 1, 'the metrics of a process are not changed')
  const counter = [{ ...gauge('a', 9), type: 'counter' }]
  t.equal(mergeFamilies([one, counter])[0]!.values.length, 1, 'a worker of another version may have another type')
  t.end()
})

await t.test('metrics of another process are checked', (t) => {
  const families = [gauge('a', 1)]
  t.ok(isFamilies(JSON.parse(JSON.stringify(families))))
  const [family] = families
  for (const wrong of [
    null,
    {},
    [null],
    [{ ...family, name: 1 }],
    [{ ...family, type: 'summary' }],
    [{ ...family, values: [{ value: null, labels: {} }] }],
    [{ ...family, values: [{ value: 1 }] }],
    [{ ...family, values: [{ value: 1, labels: { a: null } }] }],
  ])
    t.notOk(isFamilies(wrong), JSON.stringify(wrong))
  t.end()
})
