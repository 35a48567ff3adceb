/** Where the hub is: where the console itself came from, with whatever prefix. */

const BASE = new URL('.', document.baseURI)

/** The address of one of the hub's resources. */
export function addressOf(path: string, query: Record<string, string | string[]> = {}): string {
  const url = new URL(path, BASE)
  for (const [name, value] of Object.entries(query))
    for (const one of [value].flat()) url.searchParams.append(name, one)
  return url.href
}

export function topicPath(topic: string, rest = ''): string {
  return `topics/${encodeSegment(topic)}${rest}`
}

/**
 * As `encodeURIComponent`, and what that leaves alone though it means something in a shell or in JavaScript, where
 * addresses are pasted.
 */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
