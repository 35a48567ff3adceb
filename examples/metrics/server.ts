/**
 * Measures this machine every two seconds. Only current values matter, so a sample that the hub cannot accept is
 * dropped.
 */
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { HubError } from 'fanfare-client'
import type { Example, ExampleContext } from '../shared/example.js'

export interface Sample {
  /** The time of the sample, and the length of the period that it covers, both in milliseconds. */
  time: number
  span: number
  /** The use of all cores together, in percent. */
  cpu: number
  cores: number
  /** The number of running and waiting processes, as an average over a minute; 0 on Windows. */
  load: number
  /** Memory in bytes. */
  memory: { used: number; total: number }
  /** The uptime of the machine, in seconds. */
  uptime: number
}

/** The time between two samples, in milliseconds. */
const EVERY = 2_000

export default {
  settings: { FANFARE_ANONYMOUS_SUBSCRIBE: 'metrics' },
  serve(app, context) {
    run(context).catch((err: unknown) => {
      if (!context.ending.aborted) app.log.error(err, 'the server takes no more samples')
    })
  },
} satisfies Example

async function run({ hub, speed, ending: signal }: ExampleContext): Promise<void> {
  for (let before = readCores(); ;) {
    await delay(EVERY / speed, undefined, { signal })
    const now = readCores()
    const data = sampleBetween(before, now)
    before = now
    await hub.publish('metrics', { data }, { timeout: EVERY, signal }).catch((err: unknown) => {
      if (!(err instanceof HubError) || err.isFinal) throw err
    })
  }
}

interface Cores {
  time: number
  /** The monotonic time, for the period between two samples. */
  at: number
  count: number
  /** The busy and idle milliseconds of all cores together, since the machine started. */
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
