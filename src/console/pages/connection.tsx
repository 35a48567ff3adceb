/** The page of one connection: its description, its topics, and buttons that end it and revoke its subject. */
import { useSignal, type Signal } from '@preact/signals'
import type { Connection } from '../../schemas/connection.js'
import { formatAge, formatBytes, formatDateTime, formatNumber } from '../format.js'
import { encodeSegment, nodeOf } from '../hub/address.js'
import { call } from '../hub/api.js'
import { ageOf } from '../hub/clock.js'
import { isAdmin, latest } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { EndDialog } from '../parts/connection-table.js'
import { Figures, type Figure } from '../parts/figures.js'
import { Notice } from '../parts/notice.js'
import { RevokeDialog } from '../parts/revoke.js'
import { TryIt } from '../parts/try-it.js'
import { linkTo } from '../route.js'
import { managing } from '../snippets.js'

const INTERVAL = 1_000

/** The dialog that is open. */
type Dialog = 'end' | 'revoke' | undefined

export function ConnectionPage({ id }: { id: string }) {
  const path = `connections/${encodeSegment(id)}`
  const { value, error, isMissing, isForbidden, refresh } = useResource<Connection>(path, {}, INTERVAL)
  const dialog = useSignal<Dialog>(undefined)
  const close = () => (dialog.value = undefined)
  const end = async () => {
    await call(path, { method: 'DELETE' })
    refresh()
  }
  const connection = value.value
  return (
    <>
      <div class="title">
        <h1 class="name">Connection {id}</h1>
        {connection && <Buttons connection={connection} hasEnded={isMissing.value} dialog={dialog} />}
      </div>
      {isMissing.value ? (
        <Notice tone="warning">The stream has ended{connection ? '; this is its last known state' : ''}.</Notice>
      ) : (
        error.value !== undefined && <Notice tone={isForbidden.value ? 'info' : 'error'}>{error}</Notice>
      )}
      {connection && <Description connection={connection} />}
      {connection && dialog.value === 'end' && <EndDialog connection={connection} onEnd={end} onClose={close} />}
      {connection?.subject != null && dialog.value === 'revoke' && (
        <RevokeDialog subject={connection.subject} onClose={close} />
      )}
      <TryIt title="describe and end this stream" {...managing(path)} />
    </>
  )
}

interface ButtonsProps {
  connection: Connection
  hasEnded: boolean
  dialog: Signal<Dialog>
}

function Buttons({ connection, hasEnded, dialog }: ButtonsProps) {
  return (
    <div class="buttons">
      <button type="button" class="danger quiet" onClick={() => (dialog.value = 'end')} disabled={hasEnded}>
        End…
      </button>
      {isAdmin.value === true && connection.subject !== null && (
        <button type="button" class="danger quiet" onClick={() => (dialog.value = 'revoke')}>
          Revoke its subject…
        </button>
      )}
    </div>
  )
}

function Description({ connection }: { connection: Connection }) {
  const { id, subject, address, since, expiresAt, cursor, lag, sent, topics } = connection
  const hasNodes = (latest.value?.nodes ?? 1) > 1
  return (
    <>
      <Figures
        figures={[
          ['Subject', subject ?? 'none'],
          ['Address', address ?? 'none'],
          ...(hasNodes ? [['Node', <code>{nodeOf(id)}</code>] satisfies Figure] : []),
          ['Age', <time title={formatDateTime(since)}>{formatAge(ageOf(since))}</time>],
          ['Token expires', expiresAt === null ? 'never' : formatDateTime(expiresAt)],
          ['Cursor', <code>{cursor}</code>],
          ['Lag', `${formatNumber(lag)} events`],
          ['Sent', `${formatNumber(sent.events)} events, ${formatBytes(sent.bytes)}`],
        ]}
      />
      <section class="card" aria-labelledby="reads">
        <h2 id="reads">Topics</h2>
        <ul class="plain">
          {topics.map((topic) => (
            <li key={topic}>
              {topic.includes('*') ? (
                <code>{topic}</code>
              ) : (
                <a class="topic" href={linkTo({ page: 'topic', topic })}>
                  {topic}
                </a>
              )}
            </li>
          ))}
          {topics.length === 0 && <li class="muted">The stream has no topics at the moment.</li>}
        </ul>
      </section>
    </>
  )
}
