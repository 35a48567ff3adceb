/** Node.js without the environment of the test runner, whose module loader makes a start three times as slow. */

/**
 * Returns the program and its arguments, as `spawn` takes them. The program gets only PATH of this process's
 * environment.
 */
export function bareNode(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): [program: string, args: string[]] {
  const variables = Object.entries({ PATH: process.env['PATH'] ?? '', ...env })
  return ['env', ['-i', ...variables.map(([name, value]) => `${name}=${value}`), process.execPath, ...args]]
}
