/** Measures this machine. */
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'

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

/** Returns a function that measures the machine. Each sample covers the period since the previous call. */
export function createMeter(): () => Sample {
  let before = readCores()
  return () => {
    const now = readCores()
    const busy = now.busy - before.busy
    const all = busy + now.idle - before.idle
    const span = now.at - before.at
    before = now
    const total = totalmem()
    return {
      time: Date.now(),
      span,
      cpu: all > 0 ? Math.round((busy / all) * 1_000) / 10 : 0,
      cores: now.count,
      load: Math.round(loadavg()[0]! * 100) / 100,
      memory: { used: total - freemem(), total },
      uptime: Math.round(uptime()),
    }
  }
}

interface Cores {
  /** The monotonic time. */
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
    at: performance.now(),
    count: cores.length,
    busy: sum(({ user, nice, sys, irq }) => user + nice + sys + irq),
    idle: sum(({ idle }) => idle),
  }
}
