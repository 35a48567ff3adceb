/**
 * Loaded into a hub's process (`NODE_OPTIONS=--import …`): measures the turns of its event loop. It listens on the
 * socket `TURNS_SOCKET`: `begin` starts a measurement, `pause` and `resume` exclude a period, and `end` returns the
 * measurements. Each word is answered with a line of JSON. During a measurement an immediate is due in each turn, so
 * the loop never waits, and the time between two immediates is one turn.
 *
 * On Linux, a turn is measured in CPU time of the main thread, so other processes do not count. The time of a fixed
 * piece of work, in the same unit, shows the speed of the machine.
 */
import { Buffer } from 'node:buffer'
import { closeSync, openSync, readSync } from 'node:fs'
import { createServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { clearImmediate, setImmediate } from 'node:timers'

const buffer = Buffer.alloc(64)
const schedstat = open(`/proc/self/task/${process.pid}/schedstat`)

function open(path) {
  try {
    return openSync(path, 'r')
  } catch {
    return undefined // not Linux
  }
}

/** Returns the CPU time of the main thread in milliseconds; without it, the monotonic clock. */
function cpuTime() {
  if (schedstat === undefined) return performance.now()
  process.cpuUsage() // getrusage(2) makes the kernel update the thread's account
  return Number(buffer.latin1Slice(0, readSync(schedstat, buffer, 0, buffer.length, 0)).split(' ', 1)[0]) / 1e6
}

const WORK = JSON.stringify(
  Array.from({ length: 500 }, (_, n) => ({ topic: `a.${n}`, data: { n, text: 'x'.repeat(40) } })),
)

/** Returns the CPU time of a fixed piece of work, in milliseconds: the best of several tries. */
function workTime() {
  let best = Infinity
  for (let n = 0; n < 8; n++) {
    const began = cpuTime()
    JSON.stringify(JSON.parse(WORK))
    best = Math.min(best, cpuTime() - began)
  }
  return best
}
for (let n = 0; n < 50; n++) workTime() // until V8 has compiled it

let immediate
let measured = { longest: 0, work: 0 }

function resume() {
  let before = cpuTime()
  const turn = () => {
    const now = cpuTime()
    measured.longest = Math.max(measured.longest, now - before)
    before = now
    immediate = setImmediate(turn)
  }
  immediate = setImmediate(turn)
}

const words = {
  begin() {
    measured = { longest: 0, work: workTime() }
    setImmediate(resume)
  },
  pause: () => clearImmediate(immediate),
  resume: () => void setImmediate(resume),
  end() {
    clearImmediate(immediate)
    measured.work = Math.max(measured.work, workTime())
  },
}

const server = createServer((socket) => {
  socket.unref()
  socket.on('error', () => undefined)
  socket.on('data', (word) => {
    words[word.toString()]()
    socket.write(`${JSON.stringify(measured)}\n`)
  })
})
server.listen(process.env.TURNS_SOCKET).unref()
process.on('exit', () => schedstat !== undefined && closeSync(schedstat))
