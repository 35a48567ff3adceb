/** A message about an error, a warning, a success or a fact. */
import type { ComponentChildren } from 'preact'
import type { Resource } from '../hub/resource.js'

export interface NoticeProps {
  tone: 'error' | 'warning' | 'success' | 'info'
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

/** The failure of a resource for admins. A missing right is no error. */
export function ResourceNotice({ resource: { error, isForbidden } }: { resource: Resource<unknown> }) {
  if (error.value === undefined) return null
  return <Notice tone={isForbidden.value ? 'info' : 'error'}>{error}</Notice>
}
