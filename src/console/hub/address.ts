/** The addresses of the hub's resources. The hub is at the address of the console itself, with any prefix. */

export const BASE = new URL('.', document.baseURI)

/** Returns the URL of a resource of the hub. */
export function addressOf(path: string, query: Record<string, string | string[]> = {}): string {
  const url = new URL(path, BASE)
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat()) url.searchParams.append(name, one)
  return url.href
}

/** The length of the random part of the id of a connection, with the `-` before it. The node comes before them. */
const RANDOM = 17

/** Returns the node that holds a connection. */
export function nodeOf(connection: string): string {
  return connection.slice(0, -RANDOM)
}

/** Returns the part of the id of a connection after its node. */
export function shortId(connection: string): string {
  return connection.slice(1 - RANDOM)
}

export function topicPath(topic: string, rest = ''): string {
  return `topics/${encodeSegment(topic)}${rest}`
}

/**
 * Encodes like `encodeURIComponent`, and also the characters that have a meaning in a shell or in JavaScript, since
 * users paste these URLs there.
 */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
