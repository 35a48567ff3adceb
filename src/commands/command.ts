/** What a command gets of the process that runs it. */
export interface Process {
  env: Record<string, string | undefined>
  stdin: AsyncIterable<unknown>
  stdout: { write: (text: string) => unknown; isTTY?: boolean }
  stderr: { write: (text: string) => unknown }
  /** What the process ends with, where that is not 0 although nothing went wrong. */
  exitCode?: number | string | null | undefined
}

/** A command line that is wrong. */
export class UsageError extends Error {
  override name = 'UsageError'
}
