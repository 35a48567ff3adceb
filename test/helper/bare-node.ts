/**
 * Node.js without what the test runner adds to the environment of whatever is started: a module loader, with which it
 * starts three times as slowly.
 */

/** The program and its arguments, as `spawn` takes them. Nothing of this process's environment reaches it but PATH. */
export function bareNode(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): [program: string, args: string[]] {
  const variables = Object.entries({ PATH: process.env['PATH'] ?? '', ...env })
  return ['env', ['-i', ...variables.map(([name, value]) => `${name}=${value}`), process.execPath, ...args]]
}
