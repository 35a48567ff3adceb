/** What the log holds of a topic, page by page. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { topicPath } from '../hub/address.js'
import { useResource } from '../hub/resource.js'
import { EventList } from './event-list.js'
import { Notice } from './notice.js'

const PAGE = 20

interface History {
  events: { id: string; type?: string; time: string; data?: unknown; text?: string }[]
  cursor: string
  more: boolean
  gap: { reason: string } | null
}

/** Where the page begins: with the newest, or behind each of these cursors, of which the last one counts (`''`: at the beginning). */
type Place = 'newest' | readonly string[]

/** @param newest the id of the newest event that is kept, as far as that is known */
export function HistoryCard({ topic, newest }: { topic: string; newest: string | null | undefined }) {
  const place = useSignal<Place>('newest')
  const at = place.value
  const after = at === 'newest' ? undefined : at.at(-1)
  const query: Record<string, string> = at === 'newest' ? { last: String(PAGE) } : { limit: String(PAGE), ...(after ? { after } : {}) }
  const { value, error, refresh } = useResource<History>(topicPath(topic, '/events'), query)
  const page = value.value
  const isEmpty = page?.events.length === 0
  useEffect(() => {
    if (isEmpty && newest) refresh()
  }, [isEmpty, newest])
  const events = at === 'newest' ? page?.events.toReversed() : page?.events
  return (
    <section class="card" aria-labelledby="history">
      <div class="head">
        <h2 id="history">History</h2>
        <button type="button" class="quiet" onClick={() => (at === 'newest' ? refresh() : (place.value = 'newest'))}>Newest</button>
        <button type="button" class="quiet" onClick={() => (place.value = [''])}>Oldest</button>
        {at !== 'newest' && (
          <>
            <button type="button" class="quiet" disabled={at.length < 2} onClick={() => (place.value = at.slice(0, -1))}>Previous</button>
            <button type="button" class="quiet" disabled={!page?.more} onClick={() => page && (place.value = [...at, page.cursor])}>Next</button>
          </>
        )}
      </div>
      {error.value !== undefined && <Notice tone="error">{error}</Notice>}
      {page?.gap && <Notice tone="warning">Some of what was here is no longer kept ({page.gap.reason}).</Notice>}
      {isEmpty && <p class="muted">The log holds nothing of it.</p>}
      {events && <EventList name="History" events={events.map(({ id, type, time, data, text }) => ({ key: id, id, type, time, data: text ?? data, isText: text !== undefined }))} />}
    </section>
  )
}
