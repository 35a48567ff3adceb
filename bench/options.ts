/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util'

export interface Options {
  /** The scenarios to run; empty: all of them. */
  scenarios: string[]
  /** Shorter runs, which show that everything works, but whose figures are not to be quoted. */
  quick: boolean
  /** The number of runs of each scenario. Each run has its own row. */
  runs: number
  /** `FANFARE_LOG` of the hub. `file` alone means a new folder, which is removed after the run. */
  log: string
  /** `FANFARE_DURABILITY` of the hub; `undefined`: its default. */
  durability: string | undefined
}

/** An error in the command line. The message says what to do. */
export class UsageError extends Error {
  override name = 'UsageError'
}

const USAGE = `npm run bench [-- scenario…] [--quick] [--runs <n>] [--log memory|file|file:<dir>|…] [--durability sync|commit]`

/** @throws UsageError naming the fault of the arguments */
export function readOptions(args: string[]): Options {
  const { values, positionals } = parse(args)
  if (!/^[1-9]\d?$/.test(values.runs))
    throw new UsageError(`--runs is a number from 1 to 99, not ${values.runs}.\n${USAGE}`)
  return {
    scenarios: positionals,
    quick: values.quick,
    runs: Number(values.runs),
    log: values.log,
    durability: values.durability,
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        runs: { type: 'string', default: '1' },
        log: { type: 'string', default: 'memory' },
        durability: { type: 'string' },
      },
    })
  } catch (err) {
    throw new UsageError(`${err instanceof Error ? err.message : String(err)}\n${USAGE}`, { cause: err })
  }
}
