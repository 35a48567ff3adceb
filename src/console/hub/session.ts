/** The token: kept for this tab alone, and taken out of the address before anything else sees it. */
import { signal } from '@preact/signals'

const KEY = 'fanfare.token'

export const token = signal<string | undefined>(takeFromAddress() ?? sessionStorage.getItem(KEY) ?? undefined)
/** Why somebody who was signed in has to sign in again. */
export const refusal = signal<string | undefined>(undefined)

if (token.value !== undefined) sessionStorage.setItem(KEY, token.value)
// the link of another start, pasted into the same tab
window.addEventListener('hashchange', () => {
  const linked = takeFromAddress()
  if (linked !== undefined) signIn(linked)
})

export function signIn(bearer: string): void {
  sessionStorage.setItem(KEY, bearer)
  refusal.value = undefined
  token.value = bearer
}

/** @param why what the hub said of the token, if it refused it */
export function signOut(why?: string): void {
  sessionStorage.removeItem(KEY)
  refusal.value = why
  token.value = undefined
}

function takeFromAddress(): string | undefined {
  const [, linked] = /^#token=(.+)$/.exec(location.hash) ?? []
  if (linked !== undefined) history.replaceState(null, '', `${location.pathname}${location.search}`)
  return linked
}
