/** The page of open streams and their latest changes. */
import { useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Static } from 'typebox'
import type { Connection, ConnectionsPage as Page } from '../../schemas/connection.js'
import { formatBytes, formatDateTime, formatNumber, formatTime } from '../format.js'
import { nodeOf } from '../hub/address.js'
import { changes, latest } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { ResourceNotice } from '../parts/notice.js'
import { SortedTable, type Column } from '../parts/sorted-table.js'
import { linkTo } from '../route.js'

const LIMIT = 500
const INTERVAL = 2_000

const COLUMNS: Column<Connection>[] = [
  {
    name: 'Connection',
    value: ({ id }) => id,
    show: ({ id }) => (
      <a href={linkTo({ page: 'connection', id })}>
        <code>{id}</code>
      </a>
    ),
  },
  {
    name: 'Subject',
    value: ({ subject }) => subject ?? '',
    show: ({ subject }) => (subject === null ? <span class="muted">none</span> : <span class="long">{subject}</span>),
  },
  {
    name: 'Topics',
    value: ({ topics }) => topics.join(' '),
    show: ({ topics }) => <span class="long">{topics.join(' ')}</span>,
  },
  { name: 'Since', value: ({ since }) => since, show: ({ since }) => formatDateTime(since) },
  { name: 'Events', value: ({ sent }) => sent.events, show: ({ sent }) => formatNumber(sent.events), isNumber: true },
  { name: 'Bytes', value: ({ sent }) => sent.bytes, show: ({ sent }) => formatBytes(sent.bytes), isNumber: true },
  { name: 'Lag', value: ({ lag }) => lag, show: ({ lag }) => formatNumber(lag), isNumber: true },
]

/** The columns of a hub with several processes. */
const NODE_COLUMNS: Column<Connection>[] = [
  ...COLUMNS.slice(0, 1),
  {
    name: 'Node',
    value: ({ id }) => nodeOf(id),
    show: ({ id }) => (
      <a href={linkTo({ page: 'nodes' })}>
        <code>{nodeOf(id)}</code>
      </a>
    ),
  },
  ...COLUMNS.slice(1),
]

export function ConnectionsPage() {
  const subject = useSignal('')
  const topic = useSignal('')
  const query = {
    limit: String(LIMIT),
    ...(subject.value === '' ? {} : { subject: subject.value }),
    ...(topic.value === '' ? {} : { topic: topic.value }),
  }
  const resource = useResource<Static<typeof Page>>('connections', query, INTERVAL)
  const { value, refresh } = resource
  const newest = useComputed(() => changes.value[0])
  useEffect(() => refresh(), [newest.value])
  const rows = value.value?.connections
  const hasNodes = (latest.value?.nodes ?? 1) > 1 || new Set(rows?.map(({ id }) => nodeOf(id))).size > 1
  return (
    <>
      <h1>Connections</h1>
      <div class="filters">
        <label class="filter">
          Subject{' '}
          <input
            type="search"
            value={subject}
            onInput={({ currentTarget }) => (subject.value = currentTarget.value.trim())}
            spellcheck={false}
            autocapitalize="none"
          />
        </label>
        <label class="filter">
          Topic{' '}
          <input
            type="search"
            value={topic}
            onInput={({ currentTarget }) => (topic.value = currentTarget.value.trim())}
            placeholder="orders.42"
            spellcheck={false}
            autocapitalize="none"
          />
        </label>
      </div>
      <ResourceNotice resource={resource} />
      {rows?.length === 0 && <p class="muted">No stream matches.</p>}
      {rows && rows.length > 0 && (
        <SortedTable
          caption="Connections"
          columns={hasNodes ? NODE_COLUMNS : COLUMNS}
          rows={rows}
          keyOf={({ id }) => id}
          cardsUpTo={hasNodes ? 1_200 : 1_050}
        />
      )}
      {value.value?.more && (
        <p class="muted">
          Only the first {formatNumber(LIMIT)} streams are shown. Filter by subject or topic to see others.
        </p>
      )}
      {changes.value.length > 0 && (
        <section class="card" aria-labelledby="changes">
          <h2 id="changes">Recent changes</h2>
          <ul class="plain">
            {changes.value.map(({ change, id, subject, reason, time }) => (
              <li key={`${time} ${id} ${change}`}>
                <time dateTime={time} class="muted">
                  {formatTime(time)}
                </time>{' '}
                <strong>{change}</strong> {reason !== undefined && <span class="muted">({reason})</span>}{' '}
                <code>{id}</code> {subject ?? ''}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  )
}
