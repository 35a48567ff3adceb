/** The metrics of hubs in processes of their own: several workers, a port of its own, and no free file descriptor. */
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { publish, request } from '../helper/http.js'
import { metricsOf, valueOf, type MetricLine } from '../helper/metrics.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'

const bearer = anyTopic()

t.setTimeout(120_000)

/** Reads the metrics at the port of the hub, or at another URL. */
async function read({ url }: { url: string }): Promise<MetricLine[]> {
  const { status, body } = await request<string>(`${url}/metrics`)
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return metricsOf(body)
}

/** The address of the port of the metrics, from the log of the hub. */
function metricsUrl(hub: Hub): string {
  const line = hub.logs().find(({ metrics }) => metrics !== undefined)
  return String(line?.['metrics']).replace(/\/metrics$/, '')
}

/** Returns the values of a metric by the label `worker`. */
function byWorker(lines: MetricLine[], name: string): Record<string, number> {
  return Object.fromEntries(
    lines.filter((line) => line.name === name).map(({ labels, value }) => [labels['worker'] ?? '', value]),
  )
}

await t.test('any worker answers with the metrics of all, on a port of its own', async (t) => {
  const hub = await startHub(t, {
    FANFARE_LOG: `file:${t.testdir({})}/log`,
    FANFARE_WORKERS: '2',
    FANFARE_METRICS_PORT: String(await freePort()),
    FANFARE_DRAIN: '0s',
  })
  for (let n = 0; n < 4; n++) await openLive(t, streamUrl(hub, ['a']), { token: bearer })
  for (let n = 0; n < 16; n++) await publish(hub, 'a', { data: n }, bearer)
  const metrics = { url: metricsUrl(hub) }
  t.equal((await request(`${hub.url}/metrics`)).status, 404, 'the port of the hub has no metrics')
  // the primary deals the connections out in turn: each worker answers some of these scrapes
  for (let n = 0; n < 6; n++) {
    const lines = await poll(
      async () => {
        const all = await read(metrics)
        const sent = Object.values(byWorker(all, 'fanfare_sent_events_total'))
        return sent.reduce((sum, value) => sum + value, 0) === 4 * 16 ? all : undefined
      },
      () => 'the streams have not got all events',
    )
    t.equal(valueOf(lines, 'fanfare_scraped_workers'), 2)
    t.strictSame(byWorker(lines, 'fanfare_connections_opened_total'), { 1: 2, 2: 2 })
    t.strictSame(byWorker(lines, 'fanfare_log_events'), { 1: 16, 2: 16 }, 'the log is the same in each')
    const leads = Object.values(byWorker(lines, 'fanfare_log_leader'))
    t.strictSame(leads.sort(), [0, 1])
    const transactions = byWorker(lines, 'fanfare_log_transaction_duration_seconds_count')
    t.equal(Object.values(transactions).filter((count) => count > 0).length, 1, 'the leader alone writes')
    t.strictSame(Object.keys(byWorker(lines, 'process_resident_memory_bytes')).sort(), ['1', '2'])
  }
  await refuses(t, metrics.url)
  t.equal(await hub.stop(), 0, 'the port of the metrics does not keep the hub from stopping')
})

async function refuses(t: Test, url: string): Promise<void> {
  const missing = await request<{ code: string; detail: string }>(`${url}/status`)
  t.equal(missing.status, 404, 'the port of the metrics has nothing else')
  t.match(missing.body, { code: 'not-found', detail: /has \/metrics/ })
  const head = await request(`${url}/metrics`, { method: 'HEAD', headers: { accept: 'application/openmetrics-text' } })
  t.match(head.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0/)
  t.equal(head.headers.get('cache-control'), 'no-store')
  for (const [method, body] of [['POST', 'a body'], ['DELETE'], ['OPTIONS']] as const) {
    const refused = await request<{ code: string }>(`${url}/metrics`, { method, ...(body !== undefined && { body }) })
    t.match(refused, { status: 405, body: { code: 'method-not-allowed' } }, method)
    t.equal(refused.headers.get('allow'), 'GET, HEAD', method)
  }
}

await t.test('hubs that share a folder tell their own metrics each', async (t) => {
  const env = { FANFARE_LOG: `file:${t.testdir({})}/log` }
  const hubs = [await startHub(t, env), await startHub(t, env)]
  const [first, second] = hubs as [Hub, Hub]
  await publish(first, 'a', { data: 1 }, bearer)
  await poll(
    async () =>
      (await read(second)).some(({ name, value }) => name === 'fanfare_log_events' && value === 1) ? true : undefined,
    () => 'the second hub has not got the event',
  )
  for (const [hub, stored] of [
    [first, 1],
    [second, 0],
  ] as const) {
    const lines = await read(hub)
    t.equal(valueOf(lines, 'fanfare_published_events_total', { outcome: 'stored' }), stored)
    t.equal(valueOf(lines, 'fanfare_dispatched_events_total'), 1)
    t.equal(valueOf(lines, 'fanfare_cluster_nodes'), 2)
    t.equal(valueOf(lines, 'fanfare_scraped_workers'), undefined)
    t.notOk(lines.some(({ labels }) => 'worker' in labels))
  }
})

await t.test('a port that is taken stops the start, naming the setting', async (t) => {
  const hub = await startHub(t, { FANFARE_METRICS_PORT: '0' })
  const { port } = new URL(metricsUrl(hub))
  await t.rejects(startHub(t, { FANFARE_METRICS_PORT: port }), {
    message: new RegExp(`FANFARE_METRICS_PORT=${port} \\(FANFARE_METRICS_HOST=127\\.0\\.0\\.1\\): another process`),
  })
})

await t.test('requests that Node cannot parse count as refusals', async (t) => {
  const hub = await startHub(t)
  const socket = connect(hub.port, '127.0.0.1')
  socket.end('NONSENSE\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  t.equal(valueOf(await read(hub), 'fanfare_refusals_total', { code: 'invalid-request' }), 1)
})

await t.test(
  'a scrape without a free file descriptor succeeds',
  { skip: process.platform === 'linux' ? false : 'the limit is that of Linux' },
  async (t) => {
    const limit = 300 // loading the modules of the hub takes many
    const hub = await startHub(t, {}, ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh'])
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const scrape = () =>
      new Promise<MetricLine[]>((resolve, reject) => {
        get(`${hub.url}/metrics`, { agent }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => (text += part))
          response.on('end', () => resolve(metricsOf(text)))
        }).on('error', reject)
      })
    await scrape()
    const sockets = Array.from({ length: limit }, () => connect(hub.port, '127.0.0.1'))
    t.teardown(() => sockets.forEach((socket) => socket.destroy()))
    for (const socket of sockets) socket.on('error', () => undefined)
    await poll(
      async () => hub.logs().find(({ msg }) => String(msg).includes('no file descriptor is left')),
      () => `the hub has file descriptors left:\n${hub.output()}`,
    )
    const lines = await scrape()
    t.equal(valueOf(lines, 'process_max_fds'), limit)
    t.ok(valueOf(lines, 'process_open_fds')! > 0)
    t.ok(valueOf(lines, 'process_cpu_seconds_total')! > 0)
    t.equal(valueOf(lines, 'fanfare_log_writable'), 1)
  },
)
