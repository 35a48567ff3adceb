/**
 * Loaded into a hub's process (`NODE_OPTIONS=--import …`): at SIGWINCH it collects garbage and adds a line to the file
 * `PROBE_FILE` that says what the process holds.
 */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'

v8.setFlagsFromString('--expose-gc')
const gc = vm.runInNewContext('gc')

process.on('SIGWINCH', async () => {
  for (let n = 0; n < 5; n++) {
    gc()
    await turn() // finalizers run in between
  }
  const resources = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
  const { heapUsed, external } = process.memoryUsage()
  appendFileSync(process.env.PROBE_FILE, `${JSON.stringify({ resources, listeners, memory: heapUsed + external })}\n`)
})
