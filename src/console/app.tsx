/** The root of the console: the sign-in page, or the pages of the hub. */
import { token } from './hub/session.js'
import { SignIn } from './pages/sign-in.js'
import { Shell } from './parts/shell.js'

export function App() {
  return token.value === undefined ? <SignIn /> : <Shell key={token.value} />
}
