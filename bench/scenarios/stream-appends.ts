/**
 * Appends to finite topics without subscribers, each after the answer to the one before. With `--durable-streams` the
 * same run measures the protocol's own Node server. That server stores in memory if the log of the hub is in memory,
 * otherwise in files. In files it flushes each append to the disk, as the hub does with `sync`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { durableStreamsVersion, INSTALL } from '../durable-streams-package.js'
import { startClock } from '../measure.js'
import type { Options } from '../options.js'
import type { Row } from '../row.js'
import { Stage } from '../stage.js'
import { createToken } from '../token.js'
import type { Scenario } from './scenario.js'

const WRITERS = 16
const PAYLOAD = 100
const WARM_UP = 4_000
/** The paths of the topics on the hub, and on the other server, which has no prefix of its own. */
const PATHS = Array.from({ length: WRITERS }, (_, index) => `/streams/bench/${index}`)
const DURABLE_STREAMS = fileURLToPath(new URL('../durable-streams.ts', import.meta.url))

export const streamAppends: Scenario = {
  name: 'stream-appends',
  openFiles: () => 2 * WRITERS,
  workers: 'allowed',
  async run(options) {
    const { durableStreams } = options
    const version = durableStreams === undefined ? undefined : durableStreamsVersion(durableStreams)
    const hub = await Stage.withHub(options, {}, (stage) => measure(stage, options))
    if (durableStreams === undefined)
      return [rowOf(hub, 'stream-appends', '', [`compare with --durable-streams <folder>, after ${INSTALL}`])]
    const other = await measureOther(options, durableStreams)
    const ratio = hub.publishesPerSecond / other.publishesPerSecond
    return [
      rowOf(hub, 'stream-appends', `, ${ratio.toFixed(2)} times the other`),
      rowOf(other, '', ` of @durable-streams/server ${version}`),
    ]
  },
}

type Measured = Pick<Row, 'cpuPerDelivery' | 'hubShare' | 'loadShare' | 'memory'> & { publishesPerSecond: number }

async function measure(stage: Stage, { quick }: Options): Promise<Measured> {
  const { server, publishers } = stage
  for (const path of PATHS) await create(`${server.url}${path}`)
  const plan = { port: server.port, paths: PATHS, payload: PAYLOAD }
  await publishers.tell('appendToStreams', { ...plan, appends: WARM_UP })
  const appends = quick ? 8_000 : 50_000
  const clock = startClock(stage)
  const seconds = await publishers.tell('appendToStreams', { ...plan, appends })
  return { ...clock(appends), publishesPerSecond: appends / seconds }
}

async function measureOther(options: Options, installed: string): Promise<Measured> {
  const inMemory = options.log === 'memory'
  const folder = inMemory ? undefined : mkdtempSync(join(tmpdir(), 'fanfare-bench-other-'))
  try {
    const args = [installed, ...(folder === undefined ? [] : [folder])]
    return await Stage.withServer(DURABLE_STREAMS, (stage) => measure(stage, options), args)
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, maxRetries: 10 })
  }
}

async function create(url: string): Promise<void> {
  const headers = { authorization: `Bearer ${createToken('writer')}`, 'content-type': 'text/plain' }
  const created = await fetch(url, { method: 'PUT', headers })
  if (created.status !== 201) throw new Error(`a finite topic was refused: ${await created.text()}`)
}

function rowOf(measured: Measured, scenario: string, words: string, notes: string[] = []): Row {
  const rate = Math.round(measured.publishesPerSecond).toLocaleString('en')
  return {
    scenario,
    figure: `${rate} appends/s${words}`,
    target: '',
    reached: undefined,
    ...measured,
    notes,
    faults: [],
  }
}
