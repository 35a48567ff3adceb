/**
 * A writer appends an answer of 200 tokens at 50/s to a finite topic. A thousand subscribers read it, and a hundred of
 * them reload at a random time. Each must have the whole answer at its end. First they read the events of the topic,
 * then the same by the Durable Streams protocol. The same run measures a Node server that only calls `res.write`.
 */
import { fileURLToPath } from 'node:url'
import type { ReadingWay } from '../load/answer-reader.js'
import { startClock } from '../measure.js'
import type { Options } from '../options.js'
import type { Row } from '../row.js'
import { Stage } from '../stage.js'
import { createToken } from '../token.js'
import type { Scenario } from './scenario.js'

const READERS = 1_000
const RELOADS = 100
const TOKENS = 200
const RATE = 50
const MAX_P50 = 3
const MAX_P99 = 15
/** The number of answers before the measurement, and of measured answers. */
const ANSWERS = { warmUp: 3, measured: 5 }
const QUICK_ANSWERS = { warmUp: 1, measured: 1 }

const BARE_SERVER = fileURLToPath(new URL('../bare-answers.ts', import.meta.url))

const WAYS: Record<ReadingWay, string> = {
  events: 'GET /topics/{topic}/events',
  streams: 'GET /streams/{path}?live=sse',
}

export const answers: Scenario = {
  name: 'answers',
  openFiles: () => READERS,
  workers: 'allowed',
  async run(options) {
    const bare = await Stage.withServer(BARE_SERVER, (stage) => measure(stage, 'events', options))
    const rows: Row[] = []
    for (const way of Object.keys(WAYS) as ReadingWay[]) {
      const settings = { FANFARE_MAX_CONNECTIONS: String(2 * READERS) }
      const hub = await Stage.withHub(options, settings, (stage) => measure(stage, way, options))
      const { latency, cpuPerDelivery } = hub
      const ratios = [
        latency.p50 / bare.latency.p50,
        latency.p99 / bare.latency.p99,
        cpuPerDelivery / bare.cpuPerDelivery,
      ]
      rows.push({
        scenario: way === 'events' ? 'answers' : '',
        ...hub,
        figure: `${hub.figure} (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')} of res.write)`,
        target: `p50 <= ${MAX_P50}, p99 <= ${MAX_P99} ms`,
        reached: options.log === 'memory' ? latency.p50 <= MAX_P50 && latency.p99 <= MAX_P99 : undefined,
        notes: [`${WAYS[way]}: ${hub.notes.join('')}`],
      })
    }
    return [...rows, { scenario: '', ...bare, figure: `${bare.figure} (res.write, no token or log)` }]
  },
}

async function measure(stage: Stage, way: ReadingWay, { quick }: Options) {
  const { subscribers, ports } = stage
  const { warmUp, measured } = quick ? QUICK_ANSWERS : ANSWERS
  const duration = (TOKENS / RATE) * 1e3
  await subscribers.tell('gatherAudience', { ports, way, readers: READERS, reloads: RELOADS, duration })
  const faults: string[] = []
  for (let number = 0; number < warmUp; number++) faults.push(...(await play(stage, `warm-up/${number}`)).faults)
  await subscribers.tell('clearAnswers', undefined)
  const played: Played[] = []
  for (let number = 0; number < measured; number++) played.push(await play(stage, `answers/${number}`))
  const latency = await subscribers.tell('answerLatency', undefined)
  const delivered = total(played, (answer) => answer.delivered)
  const cpu = total(played, ({ delivered, cpuPerDelivery }) => delivered * cpuPerDelivery) / delivered
  return {
    figure: `p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms, ${cpu.toFixed(1)} µs CPU`,
    target: '',
    reached: undefined,
    delivered,
    expected: measured * READERS * TOKENS,
    latency,
    cpuPerDelivery: cpu,
    hubShare: total(played, ({ hubShare }) => hubShare) / measured,
    loadShare: total(played, ({ loadShare }) => loadShare) / measured,
    memory: played.at(-1)!.memory,
    notes: [`${measured} answers, ${RELOADS} of ${READERS} readers reload in each`],
    faults: [...faults, ...played.flatMap((answer) => answer.faults)],
  }
}

interface Played extends Omit<ReturnType<ReturnType<typeof startClock>>, 'natsShare'> {
  delivered: number
  faults: string[]
}

/** Lets the subscribers read one answer while it is written. */
async function play(stage: Stage, path: string): Promise<Played> {
  const { server, subscribers, publishers } = stage
  const created = await fetch(`${server.url}/streams/${path}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${createToken('writer')}`, 'content-type': 'text/plain' },
  })
  if (created.status !== 201) throw new Error(`the finite topic was refused: ${await created.text()}`)
  await subscribers.tell('openAnswer', { path })
  const clock = startClock(stage)
  const written = await publishers.tell('writeAnswer', { port: server.port, path, tokens: TOKENS, rate: RATE })
  const received = await subscribers.tell('compareAnswer', written)
  return { ...clock(received.delivered), ...received }
}

function total(played: readonly Played[], figure: (answer: Played) => number): number {
  return played.reduce((sum, answer) => sum + figure(answer), 0)
}
