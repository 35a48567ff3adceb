/** Prints a text in ASCII for the names of checks: the parser of test results treats U+2028 as the end of a line. */
export function show(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
