/** The form `sign-in` of a page, and the user that it remembers. */
import { ask, onSubmit } from './ask.js'
import { element } from './element.js'
import type { Login } from './login.js'

/**
 * Shows the form until a user has signed in, and the element `desk` afterwards. The page is loaded again when the user
 * changes, so that nothing of the former user stays.
 * @param storage `sessionStorage`: each tab has a user of its own. `localStorage`: all tabs have the same
 * @param read reads the form. Throws an error with words for the user
 */
export async function signedIn<User extends { user: string }>(
  storage: Storage,
  key: string,
  read: () => User,
): Promise<User> {
  addEventListener('storage', (event) => event.key === key && location.reload())
  const kept = storage.getItem(key)
  element(kept === null ? 'sign-in' : 'desk').hidden = false
  if (kept !== null) return JSON.parse(kept) as User
  onSubmit(element('sign-in', 'form'), async () => {
    const user = read()
    await ask('login', user) // checks the name
    storage.setItem(key, JSON.stringify(user))
    location.reload()
  })
  return new Promise(() => undefined)
}

export function signOut(storage: Storage, key: string): void {
  storage.removeItem(key)
  location.reload()
}

/** Returns a function that fetches a token for a user from the example's server. */
export function tokenOf(user: string): () => Promise<string> {
  return async () => (await ask<Login>('login', { user })).token
}
