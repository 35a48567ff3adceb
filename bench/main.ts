/**
 * `npm run bench`: runs the scenarios and prints their results as a table. The exit code is 1 if an event was lost or
 * out of order. It never depends on a figure, since figures depend on the machine and its load.
 */
import { cpus } from 'node:os'
import { describeCores } from './cores.js'
import { readOptions, UsageError, type Options } from './options.js'
import { openFileLimit } from './procfs.js'
import { LEGEND, printHead, printRow } from './row.js'
import { scenarios } from './scenarios/index.js'
import type { Scenario } from './scenarios/scenario.js'

/** The number of files that a process has open besides its sockets. */
const OTHER_FILES = 100

// the servers end with this process
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  const options = readOptions(process.argv.slice(2))
  process.exitCode = await run(select(options), options)
} catch (err) {
  console.error(err instanceof UsageError ? err.message : err)
  process.exitCode = 2
}

async function run(selected: Scenario[], options: Options): Promise<number> {
  console.log(
    `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}; ${describeCores()}; log: ${options.log}${options.durability === undefined ? '' : `, ${options.durability}`}${options.quick ? '; quick, so not for quoting' : ''}\n`,
  )
  console.log(printHead())
  let faults = 0
  for (const scenario of selected) {
    for (let turn = 0; turn < options.runs; turn++) {
      for (const row of await scenario.run(options)) {
        faults += row.faults.length
        console.log(printRow(row))
      }
    }
  }
  console.log(`\n${LEGEND}`)
  return faults === 0 ? 0 : 1
}

/** @throws UsageError for an unknown scenario, and if the process may not open the connections that a scenario needs */
function select({ scenarios: names }: Options): Scenario[] {
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined)
    throw new UsageError(`There is no scenario ${unknown}; there are ${scenarios.map(({ name }) => name).join(', ')}.`)
  const selected = names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name))
  const limit = openFileLimit()
  for (const { name, openFiles } of selected) {
    if (openFiles + OTHER_FILES > limit)
      throw new UsageError(
        `${name} needs ${openFiles + OTHER_FILES} open files in one process, and only ${limit} are allowed: raise the limit (ulimit -n) or leave it out.`,
      )
  }
  return selected
}
