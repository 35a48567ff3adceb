/** The page that asks for a token. It tries the token before it stores it. */
import { useSignal } from '@preact/signals'
import type { RefObject } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { call, messageOf } from '../hub/api.js'
import { refusal, signIn } from '../hub/session.js'
import { Notice } from '../parts/notice.js'

export function SignIn() {
  const input = useRef<HTMLInputElement>(null)
  const error = useSignal<string | undefined>(undefined)
  const isBusy = useSignal(false)
  useLayoutEffect(() => {
    document.title = 'Sign in · Fanfare'
    input.current?.focus()
  }, [])

  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const bearer = input.current?.value.trim() ?? ''
    if (!isToken(bearer)) {
      error.value = 'This is not a token: it has characters that a token cannot have.'
      return
    }
    isBusy.value = true
    call('topics', { query: { limit: '1' }, bearer }).then(
      () => signIn(bearer),
      (err: unknown) => {
        error.value = messageOf(err)
        isBusy.value = false
        input.current?.focus()
      },
    )
  }

  const message = error.value ?? refusal.value
  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit}>
        <h1>Fanfare</h1>
        <TokenField input={input} isInvalid={message !== undefined} />
        {message !== undefined && <Notice tone="error">{message}</Notice>}
        <button type="submit" disabled={isBusy.value}>
          Sign in
        </button>
      </form>
    </main>
  )
}

interface TokenFieldProps {
  input: RefObject<HTMLInputElement | null>
  isInvalid: boolean
}

function TokenField({ input, isInvalid }: TokenFieldProps) {
  return (
    <>
      <label for="token">Token</label>
      <input
        ref={input}
        id="token"
        type="password"
        autocomplete="off"
        spellcheck={false}
        required
        aria-describedby="about-token"
        aria-invalid={isInvalid}
      />
      <p id="about-token" class="muted">
        A JSON Web Token that this hub accepts. An admin's token shows everything. The token stays in this tab and is
        deleted when you close the tab.
      </p>
    </>
  )
}

/** Whether a text has only characters that a token may have. */
function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}
