/**
 * Loaded into a hub's process (`NODE_OPTIONS=--import …`): at SIGWINCH it collects garbage, and appends a line with the
 * memory, resources and functions of the process to the file `PROBE_FILE`.
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
 * The objects that are counted in the heap. Node's list of active resources omits unref'd resources, and a listener may
 * be on any object: a listener that was left behind is one more function.
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
