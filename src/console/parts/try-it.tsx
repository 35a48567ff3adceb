/**
 * The requests of a page, to paste elsewhere. They show the token while the panel is open, unless the user hides it.
 */
import { useSignal } from '@preact/signals'
import { useId } from 'preact/hooks'
import { token } from '../hub/session.js'
import type { Snippets } from '../snippets.js'
import { CopyButton } from './copy.js'

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
  return (
    <div class="snippet">
      <h3 id={heading}>{name}</h3>
      <CopyButton what={`${name} with token`} text={() => withToken(text)} />
      <pre tabIndex={0} role="group" aria-labelledby={heading}>
        <code>{shown}</code>
      </pre>
    </div>
  )
}

function withToken(text: string): string {
  return text.replaceAll('$TOKEN', token.value ?? '')
}
