const QUOTED_AT_MOST = 80

/** Prints a value that somebody sent for a message: one line, shortened. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_AT_MOST ? `${text.slice(0, QUOTED_AT_MOST)}…` : text)
}
