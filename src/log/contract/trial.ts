/** The log under test, as the cases of the contract open it. */
import { inspect } from 'node:util'
import type { EventLog, Retention } from '../log.js'
import { Random } from './random.js'

/**
 * Opens a new, empty log. The contract closes it.
 * @param retention the limits of the log
 * @param clock the wall clock, in milliseconds since the Unix epoch
 * @param elapsed the monotonic clock, in milliseconds; default: it follows the wall clock
 */
export type OpenLog = (retention: Retention, clock: () => number, elapsed?: () => number) => Promise<EventLog>

/** Closes a log and opens its stored data again, for logs that outlive a process. */
export type ReopenLog = (
  log: EventLog,
  retention: Retention,
  clock: () => number,
  elapsed?: () => number,
) => Promise<EventLog>

/** The promises that a log cannot keep, each with the reason. The contract skips or relaxes their cases. */
export interface LogLimits {
  /** The server of the log stamps and trims events by a clock that no test can set. */
  clock?: string
  /** The log remembers publisher ids for the window only, even those of retained events. */
  ids?: string
}

/** The log that the contract tests. */
export interface LogUnderTest {
  /** Each case opens logs of its own. */
  open: OpenLog
  /** Without it, the cases of a log that is opened again are left out. */
  reopen?: ReopenLog
  limits?: LogLimits
  /** Repeats the random values of a run, whose failure names it; default: a new seed. */
  seed?: number
}

/** What a case needs that not every log has. */
export type Need = keyof LogLimits | 'reopen'

/** A promise of a log, and its check. */
export interface Case {
  readonly name: string
  readonly needs?: readonly Need[]
  check(trial: Trial): Promise<void>
}

export const KEEP_ALL: Retention = { events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 60_000 }

/** A clock that only the case moves, in milliseconds. */
export interface TestClock {
  now: number
}

/** The logs and the random values of one case. */
export class Trial {
  /** Whether the log has the time of the clock that the case sets. */
  readonly setsClock: boolean
  readonly #log: LogUnderTest
  readonly #seed: number
  readonly #open = new Set<EventLog>()

  constructor(log: LogUnderTest) {
    this.#log = log
    this.setsClock = log.limits?.clock === undefined
    this.#seed = log.seed ?? Math.floor(Math.random() * 2 ** 31)
  }

  /** Opens an empty log. It is closed after the case. */
  async open(...args: Parameters<OpenLog>): Promise<EventLog> {
    return this.#keep(await this.#log.open(...args))
  }

  /** Closes a log and opens it again. */
  async reopen(log: EventLog, ...args: Parameters<OpenLog>): Promise<EventLog> {
    if (!this.#log.reopen) throw new Error('the log cannot be opened again')
    this.#open.delete(log)
    return this.#keep(await this.#log.reopen(log, ...args))
  }

  /** Opens an empty log that retains everything but for these limits, with a clock of its own. */
  async start(retention: Partial<Retention> = {}): Promise<{ log: EventLog; clock: TestClock }> {
    const clock = { now: 1_700_000_000_000 }
    return { log: await this.open({ ...KEEP_ALL, ...retention }, () => clock.now), clock }
  }

  /**
   * Checks a promise for random values, the smallest first. All logs of the case are closed after each check.
   * @throws Error with the seed and the value of the first check that fails
   */
  async forAny<T>(runs: number, make: (random: Random) => T, check: (value: T) => Promise<void>): Promise<void> {
    const random = new Random(this.#seed)
    for (let run = 1; run <= runs; run++) {
      random.size = run / runs
      const value = make(random)
      try {
        await check(value)
      } catch (err) {
        const reason = err instanceof Error ? err.message : String(err)
        const text = inspect(value, { depth: 6, breakLength: 120, maxStringLength: 200 })
        throw new Error(`${reason}\nrun ${run} of ${runs} with the seed ${this.#seed}: ${text}`, { cause: err })
      }
      await this.close()
    }
  }

  /** Closes the logs of the case. */
  async close(): Promise<void> {
    const open = [...this.#open]
    this.#open.clear()
    for (const log of open) await log.close()
  }

  #keep(log: EventLog): EventLog {
    this.#open.add(log)
    return log
  }
}
