/** The parts of the process that a command uses. */
export interface Process {
  env: Record<string, string | undefined>
  stdin: AsyncIterable<unknown>
  stdout: { write: (text: string) => unknown; isTTY?: boolean }
  stderr: { write: (text: string) => unknown }
  /** The exit code of the process. A command sets it to report a result other than success. */
  exitCode?: number | string | null | undefined
}

/** An error in the command line. `main.ts` prints it with the usage. */
export class UsageError extends Error {
  override name = 'UsageError'
}
