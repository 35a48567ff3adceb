/** The history of a topic, page by page. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { formatNumber } from '../format.js'
import { topicPath } from '../hub/address.js'
import { useResource } from '../hub/resource.js'
import { toLiveEvent, type PublishedEvent } from '../hub/stream.js'
import { EventList } from './event-list.js'
import { Notice } from './notice.js'

/** How many events are shown at once. */
const PAGE = 20
/** The maximum number of events in an answer of the hub. */
const MAX = 1_000

interface History {
  events: (PublishedEvent & { id: string })[]
  cursor: string
  more: boolean
  gap: { reason: string } | null
}

/**
 * The start of a page, as the list of steps that lead to it. The hub only pages forwards. Paging backwards from the
 * newest event therefore asks for more and more of the newest events.
 */
type PageStart =
  /** Each step goes before the event with this id. The last one counts. */
  | { from: 'newest'; before: readonly string[] }
  /** Each step goes after this cursor (`''`: the beginning of the topic). The last one counts. */
  | { from: 'oldest'; after: readonly string[] }

/** A page as it is shown. */
interface View {
  at: PageStart
  /** Oldest first. */
  events: History['events']
  older: PageStart | undefined
  newer: PageStart | undefined
  /** Whether there are older events that paging backwards cannot reach. */
  isEnd?: boolean
}

/** A page that may need more events from the hub: `events` is `undefined` until they have arrived. */
interface Found extends Omit<View, 'events'> {
  events: View['events'] | undefined
  isShort?: boolean
}

const NEWEST: PageStart = { from: 'newest', before: [] }
const OLDEST: PageStart = { from: 'oldest', after: [''] }

/** @param newest the id of the newest event in the log, if known */
export function HistoryCard({ topic, newest }: { topic: string; newest: string | null | undefined }) {
  const pageStart = useSignal<PageStart>(NEWEST)
  const last = useSignal(2 * PAGE)
  const at = pageStart.value
  const after = at.from === 'oldest' ? at.after.at(-1)! : ''
  const query: Record<string, string> =
    at.from === 'newest' ? { last: String(last.value) } : { limit: String(PAGE), ...(after === '' ? {} : { after }) }
  const { value, error, isCurrent, refresh } = useResource<History>(topicPath(topic, '/events'), query)
  const page = isCurrent ? value.value : undefined
  const isEmpty = page?.events.length === 0
  useEffect(() => {
    if (isEmpty && newest) refresh()
  }, [isEmpty, newest])

  const found: Found | undefined = page && (at.from === 'newest' ? backwards(page, at, last.value) : forwards(page, at))
  // keep showing the last page until the next one has arrived
  const kept = useRef<View | undefined>(undefined)
  const view = found?.events ? (kept.current = found as View) : kept.current
  useEffect(() => {
    if (found?.isShort) last.value = Math.min(2 * last.value, MAX)
  }, [found?.isShort, last.value])

  const toNewest = () => {
    pageStart.value = NEWEST
    last.value = 2 * PAGE
    refresh()
  }
  const step = (to: PageStart | undefined) => {
    if (to && view?.at === at) pageStart.value = to
  }
  return (
    <section class="card" aria-labelledby="history">
      <div class="head">
        <h2 id="history">History</h2>
        <button type="button" class="quiet" onClick={toNewest}>
          Newest
        </button>
        <button type="button" class="quiet" disabled={!view?.newer} onClick={() => step(view?.newer)}>
          Newer
        </button>
        <button type="button" class="quiet" disabled={!view?.older} onClick={() => step(view?.older)}>
          Older
        </button>
        <button type="button" class="quiet" onClick={() => (pageStart.value = OLDEST)}>
          Oldest
        </button>
      </div>
      {error.value !== undefined && <Notice tone="error">{error}</Notice>}
      {page?.gap && <Notice tone="warning">Some events of this page are no longer kept ({page.gap.reason}).</Notice>}
      {isEmpty && <p class="muted">The log holds no events of this topic.</p>}
      {view?.isEnd && (
        <p class="muted">
          Paging back from the newest event ends after {formatNumber(MAX)} events. To see older ones, start from the
          oldest.
        </p>
      )}
      {view && (
        <EventList
          name="History"
          events={view.events.toReversed().map((event) => ({ ...toLiveEvent(event, event.id), key: event.id }))}
        />
      )}
    </section>
  )
}

function forwards({ events, more, cursor }: History, at: PageStart & { from: 'oldest' }): View {
  return {
    at,
    events,
    older: at.after.length > 1 ? { ...at, after: at.after.slice(0, -1) } : undefined,
    newer: more ? { ...at, after: [...at.after, cursor] } : undefined,
  }
}

/** Returns the page at a start within the newest `last` events. */
function backwards({ events }: History, at: PageStart & { from: 'newest' }, last: number): Found {
  const end = at.before.length === 0 ? events.length : events.findIndex(({ id }) => id === at.before.at(-1))
  const start = Math.max(0, end - PAGE)
  const isAll = events.length < last
  const canGrow = !isAll && last < MAX
  const isThere = end >= PAGE || !canGrow // otherwise a part of a page would be shown as the whole page
  return {
    at,
    events: isThere ? events.slice(start, Math.max(0, end)) : undefined,
    older: end > 0 && (start > 0 || canGrow) ? { ...at, before: [...at.before, events[start]!.id] } : undefined,
    newer: at.before.length > 0 ? { ...at, before: at.before.slice(0, -1) } : undefined,
    isEnd: start === 0 && !isAll && !canGrow,
    isShort: start < PAGE && canGrow, // fetch one page ahead
  }
}
