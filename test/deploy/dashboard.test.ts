/** Every query of the dashboard returns data from a Prometheus that scrapes a hub under load. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { findOrInstall } from '../helper/apt.js'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { publish, request } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { endServer } from '../helper/server-program.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'
import { readText } from './files.js'

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[]
}
interface QueryAnswer {
  data: { result: { value: [time: number, value: string] }[] }
}

const bearer = anyTopic()
const { panels } = JSON.parse(readText('deploy/grafana/fanfare.json')) as Dashboard
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))

const prometheus = findOrInstall(['prometheus'], 'prometheus')
const skip =
  prometheus === undefined && process.env['CI'] === undefined && 'there is no prometheus: apt-get install prometheus'

t.setTimeout(90_000)

/** Starts a Prometheus that scrapes a hub all the time. Returns its URL. */
async function startPrometheus(t: Test, hub: Hub, folder: string): Promise<string> {
  const listen = `127.0.0.1:${await freePort()}`
  const configuration = {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    scrape_configs: [{ job_name: 'fanfare', static_configs: [{ targets: [`127.0.0.1:${hub.port}`] }] }],
  }
  writeFileSync(`${folder}/prometheus.yml`, JSON.stringify(configuration))
  const child = spawn(
    prometheus!,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${listen}`,
      '--log.level=error',
    ],
    { stdio: 'ignore' },
  )
  t.teardown(() => endServer(child))
  return `http://${listen}`
}

/**
 * Publishes, refuses and reads until the returned function is called. Call it before the test ends, since the folder of
 * the log is removed before the teardown.
 */
function load(hub: Hub): () => Promise<void> {
  const over = new AbortController()
  const publishing = (async () => {
    for (let n = 0; !over.signal.aborted; n++) {
      await publish(hub, `topic.${n % 5}`, { data: 'x'.repeat(1_000) }, bearer)
      if (n % 50 === 0) await request(`${hub.url}/topics`) // refused: it has no token
      await delay(2)
    }
  })()
  return async () => {
    over.abort()
    await publishing
  }
}

await t.test('every query of the dashboard has an answer while a hub is at work', { skip }, async (t) => {
  const folder = t.testdir({})
  const hub = await startHub(t, { FANFARE_LOG: `file:${folder}/log` })
  const url = await startPrometheus(t, hub, folder)
  await openLive(t, streamUrl(hub, ['topic.*']), { token: bearer })
  const endLoad = load(hub)

  const isAnswered = async (expr: string): Promise<boolean> => {
    const query = expr.replaceAll('$__rate_interval', '10s').replaceAll('$instance', '.*')
    const { status, body } = await request<QueryAnswer>(`${url}/api/v1/query?query=${encodeURIComponent(query)}`)
    return status === 200 && body.data.result.some(({ value: [, value] }) => value !== 'NaN')
  }
  let open = queries
  try {
    await poll(
      async () => {
        try {
          const answers = await Promise.all(open.map(({ expr }) => isAnswered(expr)))
          open = open.filter((_query, index) => !answers[index])
        } catch {
          // Prometheus does not listen yet
        }
        if (open.length === 0) return true
        await delay(250) // until the next scrape
        return undefined
      },
      () => `no data: ${open.map(({ title, expr }) => `${title}: ${expr}`).join('\n')}`,
    )
  } finally {
    await endLoad()
  }
  t.ok(queries.length > 40, `${queries.length} queries`)
})
