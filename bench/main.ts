/**
 * `npm run bench`: runs the scenarios and prints what they found out as a table. Ends with 1 when an event was lost or
 * came out of order, never because of a figure: those depend on the machine and on what else it does.
 */
import { cpus } from 'node:os'
import { describeCores } from './cores.js'
import { readOptions, UsageError, type Options } from './options.js'
import { openFileLimit } from './procfs.js'
import { LEGEND, printHead, printRow } from './row.js'
import { scenarios } from './scenarios/index.js'
import type { Scenario } from './scenarios/scenario.js'

/** Files that a process has open beside its sockets. */
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

/** @throws UsageError when there is no such scenario, or the machine does not allow as many connections as one needs */
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
