/** How the hub's process ends: at a signal or an error in good order; at another one, or when that takes too long, at once. */
import type { Logger } from 'pino'

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGTERM'] as const
const ERRORS = ['uncaughtException', 'unhandledRejection'] as const
/** How long what is being written may take when the process ends at once, in milliseconds. */
const HALT_PATIENCE = 2_000

/** Why the process ends. */
export interface Cause {
  signal?: NodeJS.Signals
  err?: unknown
}

export interface Stop {
  /** How long `close` may take, in milliseconds. */
  delay: number
  logger: Logger
  /** Ends in good order. */
  close: (cause: Cause) => Promise<void>
  /**
   * What cannot be left out. At its exit Node waits for the threads of its pool, and one that holds a transaction of the
   * log waits for the event loop, which does not turn any more: exiting in the middle of it would never end.
   */
  halt: () => Promise<void>
}

/** Ends the process when it is told to: with 0, or with 1 after an error or when it ends at once. */
export function stopWhenTold({ delay, logger, close, halt }: Stop): void {
  let isStopping = false
  let isExiting = false

  async function exit(code: number): Promise<void> {
    if (isExiting) return
    isExiting = true
    setTimeout(kill, HALT_PATIENCE)
    await halt()
    process.exit(code)
  }

  async function stop(cause: Cause): Promise<void> {
    if (isStopping) {
      if (isExiting) return
      if (cause.signal) logger.error(`second ${cause.signal}, exiting`)
      else logger.error({ err: cause.err }, 'an error while stopping, exiting')
      return exit(1)
    }
    isStopping = true
    setTimeout(() => {
      logger.error(`not stopped within ${delay} ms, exiting`)
      void exit(1)
    }, delay)
    try {
      await close(cause)
    } catch (err) {
      logger.error({ err }, 'not stopped in good order')
      return exit(1)
    }
    return exit(cause.err === undefined ? 0 : 1)
  }

  for (const event of SIGNALS) process.on(event, (signal) => void stop({ signal }))
  for (const event of ERRORS) process.on(event, (reason: unknown) => void stop({ err: reason ?? new Error(event) }))
}

/** The log survives it by design. */
function kill(): void {
  process.kill(process.pid, 'SIGKILL')
  process.abort() // the kernel does not let the first process of a container kill itself
}
