/**
 * `npm run bench`: runs the scenarios and prints their results as a table. The exit code is 1 if an event was lost or
 * out of order. It never depends on a figure, since figures depend on the machine and its load.
 */
import { cpus, loadavg } from 'node:os'
import { describeCores } from './cores.js'
import { optionsFor, readOptions, refusalOf, UsageError, type CommandLine } from './options.js'
import { openFileLimit } from './procfs.js'
import { LEGEND, printHead, printRow } from './row.js'
import { scenarios } from './scenarios/index.js'
import type { Scenario } from './scenarios/scenario.js'

/** The number of files that a process has open besides its sockets. */
const OTHER_FILES = 100

// the servers end with this process
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

try {
  const commandLine = readOptions(process.argv.slice(2))
  process.exitCode = await run(select(commandLine), commandLine)
} catch (err) {
  console.error(err instanceof UsageError ? err.message : err)
  process.exitCode = 2
}

async function run(selected: Scenario[], commandLine: CommandLine): Promise<number> {
  console.log(`${describe(commandLine)}\n`)
  console.log(printHead())
  let faults = 0
  for (const scenario of selected) {
    for (let turn = 0; turn < commandLine.runs; turn++) {
      for (const row of await scenario.run(optionsFor(scenario, commandLine))) {
        faults += row.faults.length
        console.log(printRow(row))
      }
    }
  }
  console.log(`\n${LEGEND}`)
  return faults === 0 ? 0 : 1
}

/** Returns the conditions of the run, for the head of the table. */
function describe({ options: { log, durability, workers, publishRate, tls, http2, quick } }: CommandLine): string {
  return [
    `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}, load ${loadavg()[0]!.toFixed(1)}`,
    describeCores(),
    `log: ${log ?? 'memory'}${durability === undefined ? '' : `, ${durability}`}`,
    ...(workers === undefined ? [] : [`${workers} processes`]),
    ...(publishRate === undefined ? [] : [`publish rate: ${publishRate}`]),
    ...(http2 ? ['HTTP/2'] : tls ? ['TLS'] : []),
    ...(quick ? ['quick, so not for quoting'] : []),
  ].join('; ')
}

/**
 * @throws UsageError for an unknown scenario, for one that does not run with the options, and if the process may not
 *   open the connections that a scenario needs
 */
function select(commandLine: CommandLine): Scenario[] {
  const { scenarios: names } = commandLine
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown !== undefined)
    throw new UsageError(`There is no scenario ${unknown}; there are ${scenarios.map(({ name }) => name).join(', ')}.`)
  const selected = names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name))
  const refusals = selected.map((scenario) => refusalOf(scenario, optionsFor(scenario, commandLine)))
  const fitting = selected.filter((_scenario, index) => refusals[index] === undefined)
  const refusal = refusals.find((sentence) => sentence !== undefined)
  if (refusal !== undefined && (names.length > 0 || fitting.length === 0)) throw new UsageError(refusal)
  const limit = openFileLimit()
  for (const scenario of fitting) {
    const openFiles = scenario.openFiles(optionsFor(scenario, commandLine)) + OTHER_FILES
    if (openFiles > limit)
      throw new UsageError(
        `${scenario.name} needs ${openFiles} open files in one process, and only ${limit} are allowed: raise the limit (ulimit -n) or leave it out.`,
      )
  }
  return fitting
}
