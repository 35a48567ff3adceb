/** Where the hub is: where the console itself came from, with whatever prefix. */

const BASE = new URL('.', document.baseURI)

/** The address of one of the hub's resources. */
export function addressOf(path: string, query: Record<string, string | string[]> = {}): string {
  const url = new URL(path, BASE)
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) url.searchParams.append(name, one)
  return url.href
}

export function topicPath(topic: string, rest = ''): string {
  return `topics/${encodeURIComponent(topic)}${rest}`
}
