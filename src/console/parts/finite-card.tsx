/** The state of a finite topic, and the dialog that stops its writers. */
import { useSignal } from '@preact/signals'
import type { FiniteInfo } from '../../schemas/finite.js'
import { formatBytes, formatDateTime } from '../format.js'
import { call } from '../hub/api.js'
import { Confirm } from './confirm.js'
import { Figures, type Figure } from './figures.js'

export interface FiniteCardProps {
  topic: string
  stream: FiniteInfo
  onChange: () => void
}

export function FiniteCard({ topic, stream, onChange }: FiniteCardProps) {
  const isStopping = useSignal(false)
  const { path, status, contentType, size, createdAt, createdBy } = stream
  const stop = async () => {
    await call(`${path ?? ''}/cancel`, { method: 'POST' })
    onChange()
  }
  const creator: Figure[] = createdBy === undefined ? [] : [['Created by', createdBy]]
  return (
    <section class="card" aria-labelledby="finite">
      <div class="title">
        <h2 id="finite">Stream that ends</h2>
        {status === 'open' && path !== null && (
          <button type="button" class="danger quiet" onClick={() => (isStopping.value = true)}>
            Stop…
          </button>
        )}
      </div>
      {isStopping.value && (
        <Confirm title={`Stop ${topic}?`} action="Stop" onConfirm={stop} onClose={() => (isStopping.value = false)}>
          <p>The stream ends with the status “cancelled”, and its writers are refused. It cannot be undone.</p>
        </Confirm>
      )}
      <Figures
        figures={[
          ['Status', status],
          ['Messages', formatBytes(size)],
          ['Content type', <code>{contentType}</code>],
          ['Created', formatDateTime(createdAt)],
          ...creator,
        ]}
      />
    </section>
  )
}
