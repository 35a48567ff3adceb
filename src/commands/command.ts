/** What a command gets of the process that runs it. */
export interface Process {
  env: Record<string, string | undefined>
  stdout: { write: (text: string) => unknown; isTTY?: boolean }
}

/** A command line that is wrong. */
export class UsageError extends Error {
  override name = 'UsageError'
}
