/**
 * Loaded into a hub's process (`NODE_OPTIONS=--import …`): measures the turns of its event loop. It listens on the
 * socket `TURNS_SOCKET`: `begin` starts a measurement, `pause` and `resume` leave something out of it, and `end` is
 * answered with what was measured. Each word is answered with a line of JSON. Meanwhile an immediate is due in each
 * turn, so that the loop never waits and the time between two immediates is one turn.
 *
 * A turn counts with the CPU time of the main thread, where Linux tells it: what other processes took does not count.
 * The speed of the machine at that time is told by the same measure, as what a fixed piece of work takes.
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

/** The CPU time of the main thread in milliseconds, or the monotonic clock where that is not known. */
function cpuTime() {
  if (schedstat === undefined) return performance.now()
  process.cpuUsage() // getrusage(2) has the kernel bring the thread's own account up to date
  return Number(buffer.latin1Slice(0, readSync(schedstat, buffer, 0, buffer.length, 0)).split(' ', 1)[0]) / 1e6
}

const WORK = JSON.stringify(
  Array.from({ length: 500 }, (_, n) => ({ topic: `a.${n}`, data: { n, text: 'x'.repeat(40) } })),
)

/** How long a fixed piece of work takes, in milliseconds of CPU time: the best of some tries. */
function workTime() {
  let best = Infinity
  for (let n = 0; n < 8; n++) {
    const began = cpuTime()
    JSON.stringify(JSON.parse(WORK))
    best = Math.min(best, cpuTime() - began)
  }
  return best
}
for (let n = 0; n < 50; n++) workTime() // so that it is compiled

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
