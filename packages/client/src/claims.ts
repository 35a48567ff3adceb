/** The claims of a token. */

/** Reads the claims of a JWT (RFC 7519, 3). Returns none if the token is not a JWT. */
export function claimsOf(token = ''): Record<string, unknown> {
  try {
    const part = token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** Returns how long a token is valid, in milliseconds, by the clock of this machine; `NaN`: it does not expire. */
export function timeLeft(token: string | undefined): number {
  return Number(claimsOf(token)['exp']) * 1_000 - Date.now()
}
