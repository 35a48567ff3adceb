/** A message about an error, a warning or a success. */
import type { ComponentChildren } from 'preact'

export interface NoticeProps {
  tone: 'error' | 'warning' | 'success'
  children: ComponentChildren
  onDismiss?: () => void
}

export function Notice({ tone, children, onDismiss }: NoticeProps) {
  return (
    <div class={`notice ${tone}`} role={tone === 'error' ? 'alert' : 'status'}>
      <p>{children}</p>
      {onDismiss && (
        <button type="button" class="quiet" onClick={onDismiss}>
          Dismiss
        </button>
      )}
    </div>
  )
}
