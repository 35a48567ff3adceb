/**
 * Ends the hub's process. A first signal or error closes the hub gracefully. A second signal or error, or a close that
 * takes too long, ends the process at once.
 */
import type { Logger } from 'pino'

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGTERM'] as const
const ERRORS = ['uncaughtException', 'unhandledRejection'] as const
/** How long `halt` may take when the process ends at once, in milliseconds. */
const HALT_TIMEOUT = 2_000
/**
 * How long a repeated signal is ignored under npm, in milliseconds. A terminal sends a signal to npm and to the hub,
 * and npm forwards the signal that it got to the hub (`@npmcli/run-script`, lib/signal-manager.js).
 */
const ECHO = 1_000

/** Why the process ends. */
export interface Cause {
  signal?: NodeJS.Signals
  err?: unknown
}

/** The steps that end the process. */
export interface Ending {
  /** How long `close` may take, in milliseconds. */
  delay: number
  logger: Logger
  close: (cause: Cause) => Promise<void>
  /**
   * Finishes the open transaction of the log. It is always called before the exit, which would otherwise never end:
   * Node waits for its thread pool, and a thread in a transaction waits for the event loop, which no longer turns.
   */
  halt: () => Promise<void>
}

/**
 * Handles signals and errors. The exit code is 0 after a graceful close, otherwise 1. The constructor adds the handlers
 * of signals: the kernel drops signals without a handler for the first process of a container.
 */
export class Stop {
  readonly #echo: number
  readonly #isWorker: boolean
  #cause: Cause | undefined
  #signalAt = -Infinity
  #ending: Ending | undefined
  #isStopping = false
  #isExiting = false

  /**
   * @param isWorker whether the process is a worker of a hub of several processes. A terminal and systemd also send a
   *   signal to the workers, and the primary forwards it, so a repeated signal means nothing
   */
  constructor(env: Record<string, string | undefined>, isWorker = false) {
    this.#echo = env.npm_lifecycle_event === undefined ? 0 : ECHO
    this.#isWorker = isWorker
    for (const event of SIGNALS) process.on(event, (signal) => this.#onSignal(signal))
  }

  /** Whether a signal has asked the process to end. */
  hasSignal(): boolean {
    return this.#cause !== undefined
  }

  /** Ends the process gracefully, as a first signal does. */
  begin(signal: NodeJS.Signals): void {
    if (!this.hasSignal()) this.#take(signal)
  }

  /** Ends the process at once, as a second signal does. */
  force(signal: NodeJS.Signals): void {
    this.begin(signal)
    this.#take(signal)
  }

  /** Sets the steps that end the process. Runs them now if a signal has already arrived. */
  endBy(ending: Ending): void {
    this.#ending = ending
    for (const event of ERRORS)
      process.on(event, (reason: unknown) => void this.#stop(ending, { err: reason ?? new Error(event) }))
    if (this.#cause) void this.#stop(ending, this.#cause)
  }

  #onSignal(signal: NodeJS.Signals): void {
    const isEcho = signal === this.#cause?.signal && performance.now() - this.#signalAt < this.#echo
    this.#signalAt = performance.now()
    if (isEcho || (this.#isWorker && this.hasSignal())) return
    this.#take(signal)
  }

  #take(signal: NodeJS.Signals): void {
    const isFirst = this.#cause === undefined
    this.#cause ??= { signal }
    if (this.#ending) void this.#stop(this.#ending, { signal })
    else if (!isFirst) process.exit(1) // nothing is open yet
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
      logger.error({ err }, 'closing failed, exiting')
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

/** Ends the process at once. The log survives this by design. */
function kill(): void {
  process.kill(process.pid, 'SIGKILL')
  process.abort() // the first process of a container cannot kill itself with a signal
}
