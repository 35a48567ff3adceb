/**
 * Measures this machine every two seconds. Only current values matter, so a sample that the hub cannot accept is
 * dropped.
 */
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Example, ExampleContext } from '../shared/example.js'
import { HubRefusal } from '../shared/hub-client.js'

export interface Sample {
  /** When it was taken, and how much time before that it stands for; in milliseconds. */
  time: number
  span: number
  /** How busy all cores together were, in percent. */
  cpu: number
  cores: number
  /** Processes that run or wait to run, on average over a minute; 0 on Windows. */
  load: number
  /** In bytes. */
  memory: { used: number; total: number }
  /** Of the machine, in seconds. */
  uptime: number
}

/** Between two samples, in milliseconds. */
const EVERY = 2_000

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'metrics' },
  serve(app, context) {
    run(context).catch((err: unknown) => {
      if (!context.ending.aborted) app.log.error(err, 'nothing is measured any more')
    })
  },
} satisfies Example

async function run({ hub, speed, ending: signal }: ExampleContext): Promise<void> {
  for (let before = readCores(); ;) {
    await delay(EVERY / speed, undefined, { signal })
    const now = readCores()
    const data = sampleBetween(before, now)
    before = now
    await hub.publish('metrics', { data }, { patience: 0, signal }).catch((err: unknown) => {
      if (!(err instanceof HubRefusal && err.statusCode === 503)) throw err
    })
  }
}

interface Cores {
  time: number
  /** On the monotonic clock, for how long lies between two samples. */
  at: number
  count: number
  /** Milliseconds since the machine started, of all cores together. */
  busy: number
  idle: number
}

function readCores(): Cores {
  const cores = cpus().map(({ times }) => times)
  const sum = (of: (times: (typeof cores)[number]) => number) => cores.reduce((total, times) => total + of(times), 0)
  return {
    time: Date.now(),
    at: performance.now(),
    count: cores.length,
    busy: sum(({ user, nice, sys, irq }) => user + nice + sys + irq),
    idle: sum(({ idle }) => idle),
  }
}

function sampleBetween(before: Cores, now: Cores): Sample {
  const busy = now.busy - before.busy
  const all = busy + now.idle - before.idle
  const total = totalmem()
  return {
    time: now.time,
    span: now.at - before.at,
    cpu: all > 0 ? Math.round((busy / all) * 1_000) / 10 : 0,
    cores: now.count,
    load: Math.round(loadavg()[0]! * 100) / 100,
    memory: { used: total - freemem(), total },
    uptime: Math.round(uptime()),
  }
}
