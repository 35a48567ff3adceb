/** The text of metrics, and the metrics of the process, also without a free file descriptor. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { print, readProcess } from '../../src/observe/exposition.js'
import type { Family } from '../../src/observe/metric.js'

const run = promisify(execFile)

const FAMILIES: Family[] = [
  {
    name: 'a_total',
    help: 'two\nlines',
    type: 'counter',
    values: [{ value: 2, labels: { code: 'a"b\\c' } }],
  },
  {
    name: 'b_seconds',
    help: 'b',
    type: 'histogram',
    values: [
      { value: 1, labels: { le: 0.5 }, metricName: 'b_seconds_bucket' },
      { value: 1, labels: { le: '+Inf' }, metricName: 'b_seconds_bucket' },
      { value: 0.25, labels: {}, metricName: 'b_seconds_sum' },
      { value: 1, labels: {}, metricName: 'b_seconds_count' },
    ],
  },
]
const HISTOGRAM = [
  'b_seconds_bucket{le="0.5"} 1',
  'b_seconds_bucket{le="+Inf"} 1',
  'b_seconds_sum 0.25',
  'b_seconds_count 1',
]

await t.test('metrics are written in the format of Prometheus and in that of OpenMetrics', async (t) => {
  const linesOf = async (format: 'text' | 'openmetrics') =>
    (await print(FAMILIES, format)).split('\n').filter((line) => line !== '')
  const text = [
    '# HELP a_total two\\nlines',
    '# TYPE a_total counter',
    'a_total{code="a\\"b\\\\c"} 2',
    '# HELP b_seconds b',
    '# TYPE b_seconds histogram',
    ...HISTOGRAM,
  ]
  t.strictSame(await linesOf('text'), text)
  const openMetrics = text.map((line) => line.replace(/^(# \w+ a)_total/, '$1'))
  t.strictSame(await linesOf('openmetrics'), [...openMetrics, '# EOF'])
  t.strictSame(await linesOf('text'), text, 'one format does not change the other')
})

await t.test('the metrics of the process are finite numbers', async (t) => {
  const families = await readProcess()
  const names = families.map(({ name }) => name)
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds', 'nodejs_version_info'])
    t.ok(names.includes(name), name)
  t.strictSame(
    names.filter((name) => name.startsWith('nodejs_active_')),
    [],
    'none walks all sockets',
  )
  t.ok(families.every(({ values }) => values.every(({ value }) => Number.isFinite(value))))
})

/** Reads the metrics of the process, uses up all file descriptors, and reads them again. */
const PROGRAM = `
import { openSync } from 'node:fs'
import { print, readProcess } from ${JSON.stringify(new URL('../../src/observe/exposition.ts', import.meta.url).href)}
const first = await readProcess()
let code
while (code === undefined) {
  try {
    openSync('/dev/null')
  } catch (error) {
    code = error.code
  }
}
console.log(JSON.stringify({ code, first, second: await readProcess(), text: await print(await readProcess(), 'text') }))
`

await t.test(
  'a process without a free file descriptor tells the result of the last reading',
  { skip: process.platform === 'linux' ? false : 'other systems read them without a file' },
  async (t) => {
    const node = [process.execPath, '--import=tsx', '--input-type=module', '--eval', PROGRAM]
    const { stdout } = await run('sh', ['-c', 'ulimit -n 200; exec "$@"', 'sh', ...node])
    const { code, first, second, text } = JSON.parse(stdout) as Record<'first' | 'second', Family[]> & {
      code: string
      text: string
    }
    t.equal(code, 'EMFILE')
    for (const metric of ['process_open_fds', 'process_resident_memory_bytes']) {
      const [before, after] = [first, second].map((all) => all.find(({ name }) => name === metric)?.values[0]?.value)
      t.ok(before! > 0, metric)
      t.equal(after, before, metric)
    }
    t.match(text, /^process_max_fds 200$/m)
    t.match(text, /^process_cpu_seconds_total [\d.e-]+$/m)
  },
)
