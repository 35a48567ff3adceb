/**
 * Loaded into a hub's process (`NODE_OPTIONS=--import …`): at SIGWINCH it collects garbage and adds a line to the file
 * `PROBE_FILE` that says what the process holds.
 */
import { appendFileSync } from 'node:fs'
import { Socket } from 'node:net'
import process from 'node:process'
import { clearTimeout, setTimeout } from 'node:timers'
import { setImmediate as turn } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { Stream } from '../../dist/hub/stream.js' // the hub's own: a module is loaded once

v8.setFlagsFromString('--expose-gc')
const gc = vm.runInNewContext('gc')

const timer = setTimeout(() => undefined)
clearTimeout(timer)

/**
 * What is counted in the heap, since Node's list of active resources leaves out whatever is unref'd, and a listener can
 * be on anything: one that was made for a stream is a function more.
 */
const CLASSES = { streams: Stream, sockets: Socket, timers: timer.constructor, functions: Function }

process.on('SIGWINCH', async () => {
  for (let n = 0; n < 5; n++) {
    gc()
    await turn() // finalizers run in between
  }
  const heap = {}
  for (const [name, ctor] of Object.entries(CLASSES)) heap[name] = v8.queryObjects(ctor, { format: 'count' })
  const active = {}
  for (const name of process.getActiveResourcesInfo()) active[name] = (active[name] ?? 0) + 1
  const { heapUsed, external } = process.memoryUsage()
  appendFileSync(process.env.PROBE_FILE, `${JSON.stringify({ heap, active, memory: heapUsed + external })}\n`)
})
