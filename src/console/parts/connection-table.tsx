/** The open streams that match a search, those with the greatest lag first. */
import { useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Static } from 'typebox'
import type { Connection, ConnectionsPage } from '../../schemas/connection.js'
import { formatAge, formatBytes, formatCount, formatDateTime, formatNumber } from '../format.js'
import { encodeSegment, nodeOf, shortId } from '../hub/address.js'
import { call } from '../hub/api.js'
import { ageOf } from '../hub/clock.js'
import { changes, latest } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { linkTo } from '../route.js'
import { Confirm } from './confirm.js'
import { DataTable, type DataColumn } from './data-table.js'
import { ResourceNotice } from './notice.js'

const LIMIT = 500
const INTERVAL = 2_000

const COLUMNS: DataColumn<Connection>[] = [
  {
    name: 'Subject',
    value: ({ subject }) => subject ?? '',
    show: ({ id, subject }) => (
      <a href={linkTo({ page: 'connection', id })} title={subject ?? undefined}>
        {subject ?? <span class="muted">no subject</span>}
      </a>
    ),
    narrow: 'main',
  },
  { name: 'Connection', value: ({ id }) => id, show: ({ id }) => <code title={id}>{id}</code> },
  { name: 'Address', value: ({ address }) => address ?? '', show: ({ address }) => address ?? '–', narrow: 'more' },
  {
    name: 'Topics',
    value: ({ topics }) => topics.join(' '),
    show: ({ topics }) => (
      <code class="topic" title={topics.join(' ')}>
        {topics.join(' ')}
      </code>
    ),
    isWide: true,
    narrow: 'more',
  },
  {
    name: 'Age',
    value: ({ since }) => -Date.parse(since),
    show: ({ since }) => <time title={formatDateTime(since)}>{formatAge(ageOf(since))}</time>,
    isNumber: true,
    narrow: 'more',
  },
  { name: 'Events', value: ({ sent }) => sent.events, show: ({ sent }) => formatNumber(sent.events), isNumber: true },
  { name: 'Bytes', value: ({ sent }) => sent.bytes, show: ({ sent }) => formatBytes(sent.bytes), isNumber: true },
  {
    name: 'Lag',
    value: ({ lag }) => lag,
    show: ({ lag }) => <span class={lag > 0 ? 'lagging' : ''}>{formatNumber(lag)}</span>,
    isNumber: true,
    narrow: 'end',
  },
]

/** The columns of a hub with several processes. */
const NODE_COLUMNS: DataColumn<Connection>[] = [
  ...COLUMNS.slice(0, 1),
  { name: 'Connection', value: ({ id }) => id, show: ({ id }) => <code title={id}>…{shortId(id)}</code> },
  {
    name: 'Node',
    value: ({ id }) => nodeOf(id),
    show: ({ id }) => (
      <a href={linkTo({ page: 'nodes' })}>
        <code>{nodeOf(id)}</code>
      </a>
    ),
  },
  ...COLUMNS.slice(2),
]

/**
 * @param search a part of an id, subject or address; empty: all streams
 * @param topic only streams that get events of this topic; empty: all streams
 */
export function ConnectionTable({ search, topic }: { search: string; topic: string }) {
  const resource = useResource<Static<typeof ConnectionsPage>>(
    'connections',
    {
      limit: String(LIMIT),
      order: 'lag',
      ...(search === '' ? {} : { search }),
      ...(topic === '' ? {} : { topic }),
    },
    INTERVAL,
  )
  const { value, refresh } = resource
  const ending = useSignal<Connection | undefined>(undefined)
  const newest = useComputed(() => changes.value[0])
  useEffect(() => refresh(), [newest.value])
  const rows = value.value?.connections
  const end = async ({ id }: Connection) => {
    await call(`connections/${encodeSegment(id)}`, { method: 'DELETE' })
    refresh()
  }
  return (
    <>
      <ResourceNotice resource={resource} />
      {rows?.length === 0 && (
        <p class="empty">No stream matches. A search finds parts of ids, subjects and addresses.</p>
      )}
      {rows && rows.length > 0 && (
        <>
          <Rows rows={rows} onEnd={(row) => (ending.value = row)} />
          <p class="foot muted">
            {value.value?.more
              ? `The ${formatNumber(rows.length)} streams with the greatest lag are shown. Search to see others.`
              : formatCount(rows.length, 'stream')}
          </p>
        </>
      )}
      {ending.value && <EndDialog connection={ending.value} onEnd={end} onClose={() => (ending.value = undefined)} />}
    </>
  )
}

function Rows({ rows, onEnd }: { rows: Connection[]; onEnd: (connection: Connection) => void }) {
  const hasNodes = (latest.value?.nodes ?? 1) > 1 || new Set(rows.map(({ id }) => nodeOf(id))).size > 1
  return (
    <DataTable
      caption="Connections"
      columns={hasNodes ? NODE_COLUMNS : COLUMNS}
      rows={rows}
      keyOf={({ id }) => id}
      sortedBy="Lag"
      narrowUpTo={hasNodes ? 1_250 : 1_100}
      actions={(row) => (
        <button type="button" class="quiet small" aria-label={`End ${row.id}`} onClick={() => onEnd(row)}>
          End…
        </button>
      )}
    />
  )
}

export interface EndDialogProps {
  connection: Connection
  onEnd: (connection: Connection) => Promise<void>
  onClose: () => void
}

/** Asks before a stream is ended. */
export function EndDialog({ connection, onEnd, onClose }: EndDialogProps) {
  return (
    <Confirm title="End this stream?" action="End the stream" onConfirm={() => onEnd(connection)} onClose={onClose}>
      <p>
        The stream <code>{connection.id}</code> of {connection.subject ?? 'a subscriber without a subject'} ends at
        once. Its client reconnects by itself if its token still allows it: to keep it out, revoke the token.
      </p>
    </Confirm>
  )
}
