/** The console: somebody signs in, or sees the hub. */
import { token } from './hub/session.js'
import { SignIn } from './pages/sign-in.js'
import { Shell } from './parts/shell.js'

export function App() {
  return token.value === undefined ? <SignIn /> : <Shell key={token.value} />
}
