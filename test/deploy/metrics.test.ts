/** The dashboard and the alert rules use metrics and label values that a hub has. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { refusals } from '../../src/errors.js'
import { HUB_METRICS } from '../../src/hub/metrics.js'
import { hubOf } from '../../src/plugins/hub.js'
import { SCRAPE_METRICS, SERVER_METRICS } from '../../src/plugins/metrics.js'
import { findOrInstall } from '../helper/apt.js'
import { metricsOf } from '../helper/metrics.js'
import { openApp } from '../routes/open-app.js'
import { readText } from './files.js'

interface Panel {
  type: string
  title: string
  gridPos: { h: number; w: number; x: number; y: number }
  targets?: { expr: string; legendFormat: string }[]
}
interface Dashboard {
  panels: Panel[]
  templating: { list: { name: string; query: unknown }[] }
}
interface Rules {
  groups: { name: string; rules: { alert: string; expr: string; labels: object; annotations: object }[] }[]
}

const FOLDER = 'deploy/prometheus'
const dashboard = JSON.parse(readText('deploy/grafana/fanfare.json')) as Dashboard
const rules = (parse(readText(`${FOLDER}/alerts.yml`)) as Rules).groups.flatMap((group) => group.rules)
const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
)
const expressions = [
  ...targets.map(({ title, expr }) => ({ what: `panel ${title}`, expr })),
  ...rules.map(({ alert, expr }) => ({ what: `alert ${alert}`, expr })),
]

const NAME = /\b(?:fanfare|process|nodejs)_\w+|\bup\b/g
const MATCHER = /(\w+)\s*(=~|=)\s*"([^"]*)"/g
/** The labels that Prometheus adds. */
const OF_PROMETHEUS = ['job', 'instance']

/** Runs a hub, and returns the values of each label of each metric. */
async function exportedLabels(): Promise<Map<string, Map<string, Set<string>>>> {
  const { app, subscribe } = await openApp(t, { log: `file:${t.testdir({})}/log` })
  await subscribe('a')
  await hubOf(app).publish('a', { data: 1 })
  globalThis.gc?.()
  const exported = new Map<string, Map<string, Set<string>>>([['up', new Map()]])
  for (const { name, labels } of metricsOf((await app.inject({ url: '/metrics' })).body)) {
    const known = exported.get(name) ?? new Map<string, Set<string>>()
    exported.set(name, known)
    for (const [label, value] of Object.entries(labels)) known.set(label, (known.get(label) ?? new Set()).add(value))
  }
  for (const { name } of SCRAPE_METRICS) exported.set(name, new Map())
  return exported
}

const exported = await exportedLabels()
exported.set('nodejs_gc_duration_seconds_sum', new Map()) // has no line before the first garbage collection
const own = [...HUB_METRICS, ...SERVER_METRICS, ...SCRAPE_METRICS]

await t.test('a hub exports every metric of the dashboard and the alerts, with the labels that they name', (t) => {
  for (const { what, expr } of expressions) {
    const names = expr.match(NAME) ?? []
    t.ok(names.length > 0, `${what} has a metric`)
    for (const name of names) t.ok(exported.has(name), `${what}: ${name}`)
    const values = (label: string) => names.flatMap((name) => [...(exported.get(name)?.get(label) ?? [])])
    for (const [, label, operator, written] of expr.matchAll(MATCHER)) {
      if (OF_PROMETHEUS.includes(label!)) continue
      for (const value of operator === '=~' ? written!.split('|') : [written!])
        t.ok(values(label!).includes(value), `${what}: ${label}="${value}"`)
    }
    for (const [, labels] of expr.matchAll(/\bby \(([^)]*)\)/g))
      for (const label of labels!.split(',').map((one) => one.trim()))
        t.ok([...OF_PROMETHEUS, 'worker'].includes(label) || values(label).length > 0, `${what}: by (${label})`)
  }
  t.end()
})

await t.test('the dashboard and the alerts use every metric of the hub but those of other questions', (t) => {
  const used = new Set(expressions.flatMap(({ expr }) => expr.match(NAME) ?? []))
  const unused = own.map(({ name }) => name).filter((name) => ![...used].some((one) => one.startsWith(name)))
  t.strictSame(unused, ['fanfare_draining', 'fanfare_dispatched_events_total', 'fanfare_log_leader'])
  t.end()
})

await t.test('the legend of a panel names labels of its query, and panels do not overlap', (t) => {
  for (const { title, expr, legendFormat } of targets)
    for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      t.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), `${title}: ${legendFormat}`)
  const cells = new Set<string>()
  for (const { title, gridPos } of dashboard.panels)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        const cell = `${x},${y}`
        if (x >= 24 || cells.has(cell)) t.fail(`${title} overlaps another panel, or leaves the page`)
        cells.add(cell)
      }
  t.strictSame(
    dashboard.templating.list.map(({ name }) => name),
    ['datasource', 'instance'],
  )
  t.end()
})

await t.test('the names of metrics follow the conventions of Prometheus, and labels have few values', (t) => {
  for (const { name, type, help, label } of own) {
    t.match(name, /^fanfare_[a-z]+(_[a-z]+)*$/)
    t.equal(name.endsWith('_total'), type === 'counter', name)
    t.notMatch(name, /milliseconds|_ms\b|kilobytes|megabytes/, name)
    t.match(help, /^[A-Z0-9].*\.$/, name)
    if (label) t.ok((label.values?.length ?? 1) <= Object.keys(refusals).length, name)
  }
  t.equal(new Set(own.map(({ name }) => name)).size, own.length)
  t.end()
})

const promtool = findOrInstall(['promtool'], 'prometheus')
const skip =
  promtool === undefined && process.env['CI'] === undefined && 'there is no promtool: apt-get install prometheus'

await t.test(
  'Prometheus accepts the alert rules with their tests, the queries of the dashboard, and the metrics',
  { skip },
  async (t) => {
    const run = (args: string[], input?: string) => {
      const { status, stdout, stderr } = spawnSync(promtool!, args, {
        cwd: fileURLToPath(new URL(`../../${FOLDER}`, import.meta.url)),
        encoding: 'utf8',
        input,
      })
      t.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`)
    }
    run(['check', 'rules', 'alerts.yml'])
    run(['test', 'rules', 'alerts.test.yml'])
    const { app } = await openApp(t)
    run(['check', 'metrics'], (await app.inject({ url: '/metrics' })).body)
    const queries = targets.map(({ expr }, n) => ({
      record: `panel:${n}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
    }))
    const folder = t.testdir({ 'panels.json': JSON.stringify({ groups: [{ name: 'panels', rules: queries }] }) })
    run(['check', 'rules', `${folder}/panels.json`])
    const tested = JSON.stringify(parse(readText(`${FOLDER}/alerts.test.yml`)))
    for (const { alert } of rules) t.ok(tested.includes(`alertname=\\"${alert}\\"`), `${alert} has a test`)
  },
)
