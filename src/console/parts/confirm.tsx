/** A dialog that asks before something is done that cannot be undone. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren, RefObject } from 'preact'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { messageOf } from '../hub/api.js'
import { Notice } from './notice.js'

export interface ConfirmProps {
  title: string
  /** The text of the button that does it. */
  action: string
  children: ComponentChildren
  /** Does it. A rejection is shown, and the dialog stays. */
  onConfirm: () => Promise<unknown>
  onClose: () => void
}

/** A modal dialog. Esc closes it, and the focus returns to the button that opened it. */
export function Confirm({ title, action, children, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  const error = useSignal<string | undefined>(undefined)
  const isBusy = useSignal(false)
  const isOpen = useModal(dialog)
  const close = () => {
    if (isOpen.current) onClose() // otherwise another dialog may be open
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (isBusy.value) return
    isBusy.value = true
    onConfirm().then(close, (err: unknown) => {
      error.value = messageOf(err)
      isBusy.value = false
    })
  }
  return (
    <dialog ref={dialog} class="card" aria-labelledby={heading} onClose={close}>
      <form onSubmit={submit}>
        <h2 id={heading}>{title}</h2>
        {children}
        {error.value !== undefined && <Notice tone="error">{error}</Notice>}
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={isBusy.value}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** Opens a dialog, and returns the focus when it goes. Returns whether it is open. */
function useModal(dialog: RefObject<HTMLDialogElement | null>): { readonly current: boolean } {
  const isOpen = useRef(true)
  // before the page draws: a key pressed right after the click belongs to the dialog
  useLayoutEffect(() => {
    const opener = document.activeElement
    const shown = dialog.current
    shown?.showModal()
    return () => {
      isOpen.current = false
      shown?.close() // the page behind a modal dialog does not take the focus
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
    }
  }, [])
  return isOpen
}
