/** The memory of one of ten thousand subscribers without events; with `--http2`, of one stream over HTTP/2. */
import { setTimeout as sleep } from 'node:timers/promises'
import { faultsOf, receive, sum } from '../measure.js'
import type { Options } from '../options.js'
import { residentKiB } from '../procfs.js'
import { EVERYBODY, Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const CLIENTS = 10_000
const MAX_KIB = 10
/** The number of streams of an HTTP/2 connection. */
const PER_CONNECTION = 100
/** The time limit for opening all streams over HTTP/2, in milliseconds. */
const TIMEOUT = 120_000
/** How long the hub settles before its memory is measured, in milliseconds. */
const SETTLE = 2_000

export const idle: Scenario = {
  name: 'idle',
  openFiles: ({ http2 }) => (http2 ? CLIENTS / PER_CONNECTION : CLIENTS),
  workers: 'allowed',
  tls: 'http2',
  run: (options) =>
    Stage.withHub(options, { FANFARE_MAX_CONNECTIONS: String(CLIENTS) }, async (stage) => {
      await sleep(SETTLE)
      const before = sum(stage.pids, residentKiB)
      await subscribe(stage, options)
      await sleep(SETTLE)
      const after = sum(stage.pids, residentKiB)
      const each = (after - before) / CLIENTS
      const isPlain = !options.tls && !options.http2
      return [
        {
          scenario: 'idle',
          figure: `${each.toFixed(1)} KiB a ${options.http2 ? 'stream' : 'subscriber'} of ${CLIENTS.toLocaleString('en')}`,
          target: isPlain ? `<= ${MAX_KIB} KiB` : '',
          reached: !isPlain || Number.isNaN(each) ? undefined : each <= MAX_KIB,
          memory: after / 1024,
          ...(options.http2 && { notes: [`HTTP/2, ${PER_CONNECTION} streams a connection`] }),
          faults: await faultsIn(stage, options),
        },
      ]
    }),
}

async function subscribe(stage: Stage, { http2 }: Options): Promise<void> {
  if (!http2) await stage.subscribe({ count: CLIENTS })
  else
    await stage.subscribers.tell('openHttp2', {
      port: stage.server.port,
      count: CLIENTS,
      perConnection: PER_CONNECTION,
      timeout: TIMEOUT,
    })
}

async function faultsIn(stage: Stage, { http2 }: Options): Promise<string[]> {
  if (!http2) return faultsOf(await receive(stage, EVERYBODY, 0), 0)
  const closed = await stage.subscribers.tell('closedHttp2', undefined)
  return closed === 0 ? [] : [`${closed} streams were closed`]
}
