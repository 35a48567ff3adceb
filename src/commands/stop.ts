/**
 * How the hub's process ends: at a signal or an error in good order; at another one, or when that takes too long, at
 * once.
 */
import type { Logger } from 'pino'

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGTERM'] as const
const ERRORS = ['uncaughtException', 'unhandledRejection'] as const
/** How long what is being written may take when the process ends at once, in milliseconds. */
const HALT_TIMEOUT = 2_000
/**
 * For how long the same signal is an echo under npm, in milliseconds: a terminal sends it to npm and to its child, and
 * npm hands it on to the child (`@npmcli/run-script`, lib/signal-manager.js).
 */
const ECHO = 1_000

/** Why the process ends. */
export interface Cause {
  signal?: NodeJS.Signals
  err?: unknown
}

/** How the process ends in good order. */
export interface Ending {
  /** How long `close` may take, in milliseconds. */
  delay: number
  logger: Logger
  close: (cause: Cause) => Promise<void>
  /**
   * What cannot be left out. At its exit Node waits for the threads of its pool, and one that holds a transaction of
   * the log waits for the event loop, which does not turn any more: exiting in the middle of it would never end.
   */
  halt: () => Promise<void>
}

/**
 * Ends the process when it is told to: with 0, or with 1 after an error or when it ends at once. Signals are heard from
 * the moment this is made: the kernel drops those that the first process of a container has no handler for.
 */
export class Stop {
  readonly #echo: number
  #told: Cause | undefined
  #toldAt = -Infinity
  #ending: Ending | undefined
  #isStopping = false
  #isExiting = false

  constructor(env: Record<string, string | undefined>) {
    this.#echo = env.npm_lifecycle_event === undefined ? 0 : ECHO
    for (const event of SIGNALS) process.on(event, (signal) => this.#hear(signal))
  }

  /** Whether a signal has told the process to end. */
  isTold(): boolean {
    return this.#told !== undefined
  }

  /** Has the process end so from now on; at once when it has been told to before. */
  endBy(ending: Ending): void {
    this.#ending = ending
    for (const event of ERRORS)
      process.on(event, (reason: unknown) => void this.#stop(ending, { err: reason ?? new Error(event) }))
    if (this.#told) void this.#stop(ending, this.#told)
  }

  #hear(signal: NodeJS.Signals): void {
    const isEcho = signal === this.#told?.signal && performance.now() - this.#toldAt < this.#echo
    this.#toldAt = performance.now()
    if (isEcho) return
    const isFirst = this.#told === undefined
    this.#told ??= { signal }
    if (this.#ending) void this.#stop(this.#ending, { signal })
    else if (!isFirst) process.exit(1) // nothing is open yet that would have to be closed
  }

  async #stop({ delay, logger, close, halt }: Ending, cause: Cause): Promise<void> {
    if (this.#isStopping) {
      if (this.#isExiting) return
      if (cause.signal) logger.error(`second ${cause.signal}, exiting`)
      else logger.error({ err: cause.err }, 'an error while stopping, exiting')
      return this.#exit(1, halt)
    }
    this.#isStopping = true
    setTimeout(() => {
      logger.error(`not stopped within ${delay} ms, exiting`)
      void this.#exit(1, halt)
    }, delay)
    try {
      await close(cause)
    } catch (err) {
      logger.error({ err }, 'not stopped in good order')
      return this.#exit(1, halt)
    }
    return this.#exit(cause.err === undefined ? 0 : 1, halt)
  }

  async #exit(code: number, halt: () => Promise<void>): Promise<void> {
    if (this.#isExiting) return
    this.#isExiting = true
    setTimeout(kill, HALT_TIMEOUT)
    await halt()
    process.exit(code)
  }
}

/** The log survives it by design. */
function kill(): void {
  process.kill(process.pid, 'SIGKILL')
  process.abort() // the kernel does not let the first process of a container kill itself
}
