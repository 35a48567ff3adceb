/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util'
import type { Scenario } from './scenarios/scenario.js'

/** The command line. */
export interface CommandLine {
  /** The scenarios to run; empty: all that run with the other options. */
  scenarios: string[]
  /** The number of runs of each scenario. Each run has its own rows. */
  runs: number
  /** The options of each run. `log` is `undefined` if each scenario uses its own default. */
  options: Omit<Options, 'log'> & { log: string | undefined }
}

/** The options of a run. */
export interface Options {
  /** Whether runs are shorter. They show that everything works, but their figures are not for quoting. */
  quick: boolean
  /**
   * `FANFARE_LOG` of the hub. `file` alone means a new folder, which is removed after the run; `nats` alone means a new
   * NATS server.
   */
  log: string
  /** `FANFARE_DURABILITY` of the hub; `undefined`: its default. */
  durability: string | undefined
  /** The number of processes of the hub; `undefined`: the default of the scenario. */
  workers: number | undefined
  /** The number of subscribers of `many`; `undefined`: its default. */
  subscribers: number | undefined
  /** `FANFARE_PUBLISH_RATE` of the hub; `undefined`: its default, no limit. */
  publishRate: number | undefined
  /** Whether the hub and the load speak TLS, with HTTP/1.1. */
  tls: boolean
  /** Whether the subscribers use HTTP/2, over TLS. */
  http2: boolean
  /** The folder in which `@durable-streams/server` is installed; `undefined`: it is not measured. */
  durableStreams: string | undefined
}

/** An error in the command line. The message says what to do. */
export class UsageError extends Error {
  override name = 'UsageError'
}

const USAGE = `npm run bench [-- scenario…] [--quick] [--runs <n>] [--log memory|file|file:<dir>|nats|nats://<host>] [--durability sync|commit]
  [--workers <n>] [--subscribers <n>] [--publish-rate <n>] [--tls] [--http2] [--durable-streams <folder>]`

const MAX_WORKERS = 64

/** @throws UsageError naming the fault of the arguments */
export function readOptions(args: string[]): CommandLine {
  const { values, positionals } = parse(args)
  const { quick, log, durability, tls, http2 } = values
  if (isOnNats({ log: log ?? '' }) && durability !== undefined)
    throw fault('--durability is for a log in a folder: NATS decides by itself when it writes to disk')
  const workers = numberOf('workers', values.workers, MAX_WORKERS)
  return {
    scenarios: positionals,
    runs: numberOf('runs', values.runs, 99)!,
    options: {
      quick,
      log,
      durability,
      workers,
      subscribers: numberOf('subscribers', values.subscribers, 1_000_000),
      publishRate: numberOf('publish-rate', values['publish-rate'], 1_000_000_000),
      tls,
      http2,
      durableStreams: values['durable-streams'],
    },
  }
}

/** Returns the options of a run of a scenario. */
export function optionsFor({ defaultLog }: Scenario, { options }: CommandLine): Options {
  return { ...options, log: options.log ?? defaultLog ?? 'memory' }
}

/** Returns why a scenario does not run with the options, as a sentence; `undefined`: it does. */
export function refusalOf(scenario: Scenario, options: Options): string | undefined {
  const { log, workers, subscribers, publishRate, durableStreams } = options
  const { name } = scenario
  if (workers !== undefined && scenario.workers === undefined)
    return `${name} measures one process: leave out --workers.`
  if (workers !== undefined && workers > 1 && log === 'memory')
    return `--workers ${workers} needs a log that processes share, and a log in memory belongs to one process: add --log file or --log nats.`
  if (scenario.workers === 'several' && log === 'memory')
    return `${name} measures several processes, and a log in memory belongs to one: leave out --log, or use --log file or --log nats.`
  if (isOnNats(options) && scenario.needsFolder === true)
    return `${name} measures a log of the machine itself: use --log file or --log memory.`
  if (subscribers !== undefined && name !== 'many') return `--subscribers is for many, and not for ${name}.`
  if (publishRate !== undefined && name !== 'many-topics')
    return `--publish-rate is for many-topics, and not for ${name}.`
  if (durableStreams !== undefined && name !== 'stream-appends')
    return `--durable-streams is for stream-appends, and not for ${name}.`
  return transportRefusal(scenario, options)
}

/** Returns why a scenario does not run over TLS or HTTP/2, if the options ask for it. */
function transportRefusal({ name, tls }: Scenario, options: Options): string | undefined {
  if (options.http2 && tls !== 'http2')
    return `--http2 is for idle, which measures the memory of streams, and not for ${name}.`
  if (options.tls && tls === undefined) return `--tls is for the fan-out scenarios and idle, and not for ${name}.`
  return undefined
}

/** Whether the log of the hub is on NATS. */
export function isOnNats({ log }: { log: string }): boolean {
  return log === 'nats' || log.startsWith('nats://')
}

function numberOf(name: string, value: string | undefined, largest: number): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!/^[1-9]\d*$/.test(value) || number > largest)
    throw fault(`--${name} is a whole number from 1 to ${largest}, not ${value}`)
  return number
}

function fault(words: string): UsageError {
  return new UsageError(`${words}.\n${USAGE}`)
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        runs: { type: 'string', default: '1' },
        log: { type: 'string' },
        durability: { type: 'string' },
        workers: { type: 'string' },
        subscribers: { type: 'string' },
        'publish-rate': { type: 'string' },
        tls: { type: 'boolean', default: false },
        http2: { type: 'boolean', default: false },
        'durable-streams': { type: 'string' },
      },
    })
  } catch (err) {
    throw new UsageError(`${err instanceof Error ? err.message : String(err)}\n${USAGE}`, { cause: err })
  }
}
