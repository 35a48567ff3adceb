/** What a command gets from the process, and the errors that it may throw. */
import { EXIT, type ExitCode } from './exit-codes.js'

/** The parts of the process that a command uses. */
export interface Process {
  env: Record<string, string | undefined>
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
  /** The path of the script of the process, from which `fanfare` was started. */
  script: string | undefined
  /** The exit code of the process. A command sets it to report a result other than success. */
  exitCode: number | string | null | undefined
  /**
   * Returns a signal that the first SIGINT, SIGTERM or SIGHUP aborts. From the first call on, these signals do not end
   * the process by themselves; a second one does.
   */
  interrupted(): AbortSignal
}

/** An expected error. `main.ts` prints its message, without a stack trace, and exits with its code. */
export class CommandError extends Error {
  override name = 'CommandError'
  readonly exitCode: ExitCode

  constructor(message: string, exitCode: ExitCode = EXIT.failed, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** A mistake in the command line. The message is one sentence; `main.ts` adds where the help is. */
export class UsageError extends CommandError {
  override name = 'UsageError'
}
