/** Topics and patterns, by the hub's rules. */

/**
 * Returns a function that tells whether a topic matches a pattern. `*` stands for one segment, `**` at the end for one
 * or more. No wildcard stands for the reserved segment `fanfare` at the beginning.
 */
export function matcherOf(pattern: string): (topic: string) => boolean {
  const source = pattern.replaceAll('.', '\\.').replaceAll('**', '.+').replaceAll('*', '[^.]+')
  const syntax = new RegExp(`^${pattern.startsWith('*') ? '(?!fanfare(\\.|$))' : ''}${source}$`)
  return (topic) => syntax.test(topic)
}
