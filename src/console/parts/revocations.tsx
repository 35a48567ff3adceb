/** The revocations in force, each with a button that lifts it. */
import { useSignal } from '@preact/signals'
import { formatDateTime } from '../format.js'
import { encodeSegment } from '../hub/address.js'
import { call } from '../hub/api.js'
import { useResource } from '../hub/resource.js'
import { Confirm } from './confirm.js'
import { DataTable, type DataColumn } from './data-table.js'
import { ResourceNotice } from './notice.js'

interface Revocation {
  id: string
  subject?: string
  jti?: string
  until: string
}

const INTERVAL = 2_000

const COLUMNS: DataColumn<Revocation>[] = [
  {
    name: 'Revoked',
    value: ({ subject, jti }) => subject ?? jti ?? '',
    show: ({ subject, jti }) => (
      <>
        <span class="muted">{subject === undefined ? 'token' : 'subject'}</span> <code>{subject ?? jti}</code>
      </>
    ),
    isWide: true,
    narrow: 'main',
  },
  { name: 'Until', value: ({ until }) => until, show: ({ until }) => formatDateTime(until), narrow: 'more' },
]

export function Revocations() {
  const resource = useResource<{ revocations: Revocation[] }>('revocations', {}, INTERVAL)
  const lifting = useSignal<Revocation | undefined>(undefined)
  const rows = resource.value.value?.revocations
  const lift = async () => {
    await call(`revocations/${encodeSegment(lifting.value?.id ?? '')}`, { method: 'DELETE' })
    resource.refresh()
  }
  return (
    <>
      <ResourceNotice resource={resource} />
      {rows?.length === 0 && (
        <p class="empty">No token is revoked. “Revoke…” ends the streams of a subject or token and refuses new ones.</p>
      )}
      {rows && rows.length > 0 && (
        <DataTable
          caption="Revocations"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ id }) => id}
          sortedBy="Until"
          actions={(row) => (
            <button type="button" class="quiet small" onClick={() => (lifting.value = row)}>
              Lift…
            </button>
          )}
        />
      )}
      {lifting.value && (
        <LiftDialog revocation={lifting.value} onConfirm={lift} onClose={() => (lifting.value = undefined)} />
      )}
    </>
  )
}

interface LiftDialogProps {
  revocation: Revocation
  onConfirm: () => Promise<void>
  onClose: () => void
}

/** Asks before a revocation is lifted. */
function LiftDialog({ revocation: { subject, jti }, onConfirm, onClose }: LiftDialogProps) {
  return (
    <Confirm title="Lift this revocation?" action="Lift" onConfirm={onConfirm} onClose={onClose}>
      <p>
        The hub accepts the tokens of <code>{subject ?? jti}</code> again.
      </p>
    </Confirm>
  )
}
