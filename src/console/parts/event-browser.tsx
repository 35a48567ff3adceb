/** The events of a topic: a list of live and earlier events, its filters, and the event that is opened beside it. */
import { computed, useSignal, type ReadonlySignal, type Signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { formatClock, formatCount } from '../format.js'
import { EventFeed, type ListedEvent } from '../hub/event-feed.js'
import { EventDetail } from './event-detail.js'
import { EventRows } from './event-rows.js'
import { Notice } from './notice.js'
import { StreamBadge, StreamNotices } from './stream-state.js'

/** The time for further typing before a filter by type is used, in milliseconds: it opens another stream. */
const TYPING = 300

/** @param children what is shown beside the list while no event is opened */
export function EventBrowser({ topic, children }: { topic: string; children: ComponentChildren }) {
  const type = useSignal('')
  const typed = useSignal('')
  const text = useSignal('')
  const opened = useSignal<ListedEvent | undefined>(undefined)
  const feed = useMemo(() => new EventFeed(topic, type.value === '' ? undefined : type.value), [topic, type.value])
  useEffect(() => () => feed.close(), [feed])
  useEffect(() => {
    const timer = window.setTimeout(() => (type.value = typed.value), TYPING)
    return () => window.clearTimeout(timer)
  }, [typed.value])
  const shown = useMemo(() => computed(() => foundIn(feed.events.value, text.value.toLowerCase())), [feed])
  const close = () => {
    opened.value = undefined
    document.querySelector<HTMLElement>('.event-rows')?.focus()
  }
  return (
    <div class="browser">
      <section class="card events" aria-labelledby="events">
        <div class="head">
          <h2 id="events">Events</h2>
          {feed.stream.value && <StreamBadge stream={feed.stream.value} what="this topic" />}
          <FeedButtons feed={feed} />
        </div>
        <Filters feed={feed} typed={typed} text={text} />
        <FeedNotices feed={feed} />
        <EventRows feed={feed} events={shown} opened={opened} isFiltered={text.value !== ''} />
        <Foot feed={feed} shown={shown} isFiltered={text.value !== ''} />
      </section>
      <div class="beside">
        {opened.value ? <EventDetail key={opened.value.key} event={opened.value} onClose={close} /> : null}
        <div hidden={opened.value !== undefined}>{children}</div>
      </div>
    </div>
  )
}

interface FiltersProps {
  feed: EventFeed
  typed: Signal<string>
  text: Signal<string>
}

function Filters({ feed, typed, text }: FiltersProps) {
  const types = useKnownTypes(feed)
  return (
    <div class="filters">
      <label>
        <span class="hidden">Only events of the type</span>
        <input
          type="search"
          list="types"
          placeholder="All types"
          value={typed}
          onInput={({ currentTarget }) => (typed.value = currentTarget.value)}
          spellcheck={false}
          autocapitalize="none"
        />
        <datalist id="types">
          {types.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </label>
      <label>
        <span class="hidden">Only events with the text</span>
        <input
          type="search"
          placeholder="Text in the payload"
          value={text}
          onInput={({ currentTarget }) => (text.value = currentTarget.value)}
          spellcheck={false}
          autocapitalize="none"
        />
      </label>
      <TimeJump feed={feed} />
    </div>
  )
}

function FeedButtons({ feed }: { feed: EventFeed }) {
  const isPaused = feed.isPaused.value || !feed.isAtHead.value
  const waiting = feed.waiting.value
  return (
    <button
      type="button"
      class="quiet"
      aria-pressed={isPaused}
      onClick={() => {
        if (!isPaused) return feed.pause()
        document.querySelector('.event-rows')?.scrollTo(0, 0)
        void feed.resume()
      }}
    >
      {isPaused ? `Resume${waiting > 0 ? ` (${waiting} new)` : ''}` : 'Pause'}
    </button>
  )
}

function FeedNotices({ feed }: { feed: EventFeed }) {
  const { stream, error, isForbidden } = feed
  return (
    <>
      {stream.value && <StreamNotices stream={stream.value} what="This topic" />}
      {error.value !== undefined && <Notice tone={isForbidden.value ? 'info' : 'error'}>{error}</Notice>}
    </>
  )
}

/** The field that goes to a time. */
function TimeJump({ feed }: { feed: EventFeed }) {
  const message = useSignal('')
  const input = useRef<HTMLInputElement>(null)
  const jump = (event: SubmitEvent) => {
    event.preventDefault()
    const time = Date.parse(input.current?.value ?? '')
    if (Number.isNaN(time)) message.value = 'Choose a day and a time.'
    else if (time > Date.now()) message.value = 'This time is in the future.'
    else
      void feed.jumpTo(time).then((isFound) => {
        message.value = isFound ? '' : 'No event since then.'
        if (!isFound) return
        const rows = document.querySelector('.event-rows')
        rows?.scrollTo(0, rows.scrollHeight) // the oldest event is the first one since that time
      })
  }
  return (
    <form class="jump" onSubmit={jump}>
      <label>
        <span class="hidden">Go to the time</span>
        <input ref={input} type="datetime-local" step={1} />
      </label>
      <button type="submit" class="quiet">
        Go
      </button>
      <span role="status" class="muted">
        {message}
      </span>
    </form>
  )
}

function Foot({
  feed,
  shown,
  isFiltered,
}: {
  feed: EventFeed
  shown: ReadonlySignal<readonly ListedEvent[]>
  isFiltered: boolean
}) {
  const all = feed.events.value
  const oldest = all.at(-1)
  if (!oldest) return null
  const since = `${feed.hasOlder.value ? 'back to' : 'all since'} ${formatClock(Date.parse(oldest.time))}`
  return (
    <p class="foot muted">
      {isFiltered
        ? `${shown.value.length} of ${formatCount(all.length, 'event')} match`
        : formatCount(all.length, 'event')}
      , {since}
    </p>
  )
}

/** Returns the types that the list has had, sorted. */
function useKnownTypes(feed: EventFeed): string[] {
  const known = useRef(new Set<string>())
  for (const { type } of feed.events.value.slice(0, 1_000)) if (type !== undefined) known.current.add(type)
  return [...known.current].sort()
}

function foundIn(events: readonly ListedEvent[], wanted: string): readonly ListedEvent[] {
  return wanted === '' ? events : events.filter((event) => isFound(event, wanted))
}

function isFound({ type, id, text, attributes }: ListedEvent, wanted: string): boolean {
  return [type, id, text, ...Object.values(attributes ?? {})].some((value) => value?.toLowerCase().includes(wanted))
}
