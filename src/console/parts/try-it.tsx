/**
 * The requests of a page, to paste elsewhere. They show the token while the panel is open, unless the user hides it.
 */
import { useSignal } from '@preact/signals'
import { useId } from 'preact/hooks'
import { token } from '../hub/session.js'
import type { Snippets } from '../snippets.js'

export interface TryItProps extends Snippets {
  /** The purpose of the requests, as it follows "Try it:". */
  title: string
}

export function TryIt({ title, curl, script }: TryItProps) {
  const isOpen = useSignal(false)
  const isHidden = useSignal(false)
  const shown = (text: string) => (isOpen.value && !isHidden.value ? withToken(text) : text)
  return (
    <details class="card" onToggle={({ currentTarget }) => (isOpen.value = currentTarget.open)}>
      <summary>Try it: {title}</summary>
      <Snippet name="curl" text={curl} shown={shown(curl)} />
      {script !== undefined && <Snippet name="JavaScript" text={script} shown={shown(script)} />}
      <button type="button" class="quiet" onClick={() => (isHidden.value = !isHidden.value)}>
        {isHidden.value ? 'Show the token' : 'Hide the token'}
      </button>
    </details>
  )
}

function Snippet({ name, text, shown }: { name: string; text: string; shown: string }) {
  const heading = useId()
  const outcome = useSignal('')
  const copy = () => {
    void copyText(withToken(text)).then(
      (isCopied) =>
        (outcome.value = isCopied
          ? 'Copied.'
          : 'The browser does not allow this page to copy. Select the text instead.'),
    )
  }
  return (
    <div class="snippet">
      <h3 id={heading}>{name}</h3>
      <button type="button" class="quiet" onClick={copy}>
        Copy {name} with token
      </button>
      <span role="status" class="muted">
        {outcome}
      </span>
      <pre tabIndex={0} role="group" aria-labelledby={heading}>
        <code>{shown}</code>
      </pre>
    </div>
  )
}

function withToken(text: string): string {
  return text.replaceAll('$TOKEN', token.value ?? '')
}

/** Copies a text. Browsers offer the clipboard only to pages from localhost or over TLS. */
async function copyText(text: string): Promise<boolean> {
  const { clipboard } = navigator as { clipboard?: Clipboard }
  if (!clipboard) return false
  return clipboard.writeText(text).then(
    () => true,
    () => false,
  )
}
