/** A button that copies a text. */
import { useSignal } from '@preact/signals'

/** @param text returns the text, which may be long */
export function CopyButton({ what, text }: { what: string; text: () => string }) {
  const outcome = useSignal('')
  const copy = () =>
    void copyText(text()).then((isCopied) => {
      outcome.value = isCopied ? 'Copied.' : 'The browser does not allow this page to copy. Select the text instead.'
    })
  return (
    <>
      <button type="button" class="quiet" onClick={copy}>
        Copy {what}
      </button>
      <span role="status" class="muted">
        {outcome}
      </span>
    </>
  )
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
