/** The page of open streams, their latest changes, and revocations. */
import { useSignal, type Signal } from '@preact/signals'
import { formatTime } from '../format.js'
import { changes, isAdmin } from '../hub/monitor.js'
import { Choice } from '../parts/choice.js'
import { ConnectionTable } from '../parts/connection-table.js'
import { RevokeDialog } from '../parts/revoke.js'
import { Revocations } from '../parts/revocations.js'
import { linkTo } from '../route.js'

const VIEWS = [
  { value: 'open', name: 'Open' },
  { value: 'changes', name: 'Changes' },
  { value: 'revocations', name: 'Revocations' },
] as const

/** @param search what the page searches for at first */
export function ConnectionsPage({ search: initial = '' }: { search?: string | undefined }) {
  const search = useSignal(initial)
  const topic = useSignal('')
  const view = useSignal<(typeof VIEWS)[number]['value']>('open')
  const isRevoking = useSignal(false)
  return (
    <>
      <div class="title">
        <h1>Connections</h1>
        {isAdmin.value === true && (
          <>
            <Choice name="Shown" options={VIEWS} value={view.value} onChoose={(value) => (view.value = value)} />
            <button type="button" class="danger quiet" onClick={() => (isRevoking.value = true)}>
              Revoke…
            </button>
          </>
        )}
      </div>
      {view.value === 'open' && (
        <>
          {isAdmin.value !== false && <Filters search={search} topic={topic} />}
          <ConnectionTable search={search.value} topic={topic.value} />
        </>
      )}
      {view.value === 'changes' && <Changes />}
      {view.value === 'revocations' && <Revocations />}
      {isRevoking.value && (
        <RevokeDialog
          onClose={() => {
            isRevoking.value = false
          }}
        />
      )}
    </>
  )
}

function Filters({ search, topic }: { search: Signal<string>; topic: Signal<string> }) {
  return (
    <div class="filters">
      <label>
        <span class="hidden">Subject, address or id</span>
        <input
          type="search"
          value={search}
          onInput={({ currentTarget }) => (search.value = currentTarget.value.trim())}
          placeholder="Subject, address or id"
          maxLength={200}
          spellcheck={false}
          autocapitalize="none"
        />
      </label>
      <label>
        <span class="hidden">Topic</span>
        <input
          type="search"
          value={topic}
          onInput={({ currentTarget }) => (topic.value = currentTarget.value.trim())}
          placeholder="Topic, such as orders.42"
          spellcheck={false}
          autocapitalize="none"
        />
      </label>
    </div>
  )
}

function Changes() {
  if (changes.value.length === 0)
    return <p class="empty">No stream has been opened or closed since you signed in. New changes appear here.</p>
  return (
    <ul class="changes card" aria-label="Changes">
      {changes.value.map(({ change, id, subject, reason, time }) => (
        <li key={`${time} ${id} ${change}`}>
          <time dateTime={time}>{formatTime(time)}</time>
          <span class={`badge ${change}`}>
            {change}
            {reason !== undefined && ` (${reason})`}
          </span>
          <span>{subject ?? 'no subject'}</span>
          <a href={linkTo({ page: 'connection', id })}>
            <code>{id}</code>
          </a>
        </li>
      ))}
    </ul>
  )
}
