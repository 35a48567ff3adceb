/** The token of the session. It is stored for this tab only. A token in the address is removed at once. */
import { signal } from '@preact/signals'

const KEY = 'fanfare.token'

export const token = signal<string | undefined>(takeFromAddress() ?? sessionStorage.getItem(KEY) ?? undefined)
/** Why the user has to sign in again. */
export const refusal = signal<string | undefined>(undefined)

if (token.value !== undefined) sessionStorage.setItem(KEY, token.value)
// The user may paste the link of another start of the hub into the same tab.
window.addEventListener('hashchange', () => {
  const linked = takeFromAddress()
  if (linked !== undefined) signIn(linked)
})

export function signIn(bearer: string): void {
  sessionStorage.setItem(KEY, bearer)
  refusal.value = undefined
  token.value = bearer
}

/** @param why the reason of the hub, if it refused the token */
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
