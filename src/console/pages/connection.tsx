/** The page of one connection: its description, its topics, and a button that ends it. */
import { useSignal } from '@preact/signals'
import type { Connection } from '../../schemas/connection.js'
import { formatBytes, formatDateTime, formatNumber } from '../format.js'
import { encodeSegment, nodeOf } from '../hub/address.js'
import { call, messageOf } from '../hub/api.js'
import { latest } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { Figures, type Figure } from '../parts/figures.js'
import { Notice } from '../parts/notice.js'
import { TryIt } from '../parts/try-it.js'
import { managing } from '../snippets.js'
import { linkTo } from '../route.js'

const INTERVAL = 1_000

export function ConnectionPage({ id }: { id: string }) {
  const path = `connections/${encodeSegment(id)}`
  const { value, error, isMissing, refresh } = useResource<Connection>(path, {}, INTERVAL)
  const failure = useSignal<string | undefined>(undefined)
  const end = () => {
    call(path, { method: 'DELETE' }).then(refresh, (err: unknown) => (failure.value = messageOf(err)))
  }
  const connection = value.value
  const hasNodes = (latest.value?.nodes ?? 1) > 1
  return (
    <>
      <h1 class="name">Connection {id}</h1>
      {isMissing.value ? (
        <Notice tone="warning">The stream has ended{connection ? '; this is its last known state' : ''}.</Notice>
      ) : (
        error.value !== undefined && <Notice tone="error">{error}</Notice>
      )}
      {failure.value !== undefined && <Notice tone="error">{failure}</Notice>}
      {connection && (
        <>
          <Figures
            figures={[
              ['Subject', connection.subject ?? 'none'],
              ...(hasNodes ? [['Node', <code>{nodeOf(id)}</code>] satisfies Figure] : []),
              ['Since', formatDateTime(connection.since)],
              ['Token expires', connection.expiresAt === null ? 'never' : formatDateTime(connection.expiresAt)],
              ['Cursor', <code>{connection.cursor}</code>],
              ['Lag', `${formatNumber(connection.lag)} events`],
              ['Sent', `${formatNumber(connection.sent.events)} events, ${formatBytes(connection.sent.bytes)}`],
            ]}
          />
          <section class="card" aria-labelledby="reads">
            <h2 id="reads">Topics</h2>
            <ul class="plain">
              {connection.topics.map((topic) => (
                <li key={topic}>
                  {topic.includes('*') ? <code>{topic}</code> : <a href={linkTo({ page: 'topic', topic })}>{topic}</a>}
                </li>
              ))}
            </ul>
          </section>
          <button type="button" class="danger" onClick={end} disabled={isMissing.value}>
            End this connection
          </button>
          <p class="muted">The client reconnects by itself if its token still allows it.</p>
        </>
      )}
      <TryIt title="describe and end this stream" {...managing(path)} />
    </>
  )
}
