/** The list of events, of which only the visible rows are drawn. Arrow keys choose an event, Esc closes it. */
import { useSignalEffect, type ReadonlySignal, type Signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { formatTime } from '../format.js'
import type { EventFeed, ListedEvent } from '../hub/event-feed.js'
import { useVisibleRows } from './virtual.js'

/** The height of a row, in pixels. The style sheet has the same. */
const ROW = 32
/** How many rows before the end of the list the next page is loaded. */
const AHEAD = 20
/** The length of a payload in a row, in characters. */
const PREVIEW = 400
/** How many events a filter looks through before the user has to ask for older ones. */
const SEARCHED = 5_000

export interface EventRowsProps {
  feed: EventFeed
  events: ReadonlySignal<readonly ListedEvent[]>
  opened: Signal<ListedEvent | undefined>
  /** Whether `events` are only some of those of the feed. */
  isFiltered: boolean
}

export function EventRows({ feed, events, opened, isFiltered }: EventRowsProps) {
  const list = useRef<HTMLDivElement>(null)
  const all = events.value
  const { start, end, before, after } = useVisibleRows(list, all.length, ROW)
  usePauseOnScroll(feed, list)

  const isTired = useOlderPages(feed, isFiltered, end >= all.length - AHEAD, all.length)
  const open = (index: number) => {
    const event = all[Math.max(0, Math.min(index, all.length - 1))]
    if (!event) return
    opened.value = event
    reveal(list.current, all.indexOf(event))
  }
  const rowOf = (event: ListedEvent, index: number) => {
    const isOpen = event.key === opened.value?.key
    return <Row key={event.key} {...{ event, isOpen }} place={index + 1} size={all.length} onOpen={() => open(index)} />
  }
  return (
    <>
      {!feed.isAtHead.value && <More words="Load newer events" onLoad={() => feed.loadNewer()} />}
      <div
        ref={list}
        class="event-rows"
        role="listbox"
        aria-label="Events"
        tabIndex={0}
        aria-activedescendant={opened.value && `event-${opened.value.key}`}
        onKeyDown={(event) => pressed(event, all, opened, open)}
      >
        <div role="presentation" style={{ height: `${before}px` }} />
        {all.slice(start, end).map((event, index) => rowOf(event, start + index))}
        <div role="presentation" style={{ height: `${after}px` }} />
      </div>
      {all.length === 0 && <Empty feed={feed} isFiltered={isFiltered} />}
      {isTired && feed.hasOlder.value && <More words="Search older events" onLoad={() => feed.loadOlder()} />}
    </>
  )
}

/**
 * Loads older events when the end of the list comes near.
 * @returns whether a filter has looked through so many that it waits for the user
 */
function useOlderPages(feed: EventFeed, isFiltered: boolean, isNearEnd: boolean, count: number): boolean {
  const mayLoad = feed.hasOlder.value && !feed.isLoading.value && feed.error.value === undefined
  const isTired = isFiltered && feed.events.value.length >= SEARCHED
  useEffect(() => {
    if (isNearEnd && mayLoad && !isTired) void feed.loadOlder()
  }, [isNearEnd, mayLoad, isTired, count])
  return isTired
}

function More({ words, onLoad }: { words: string; onLoad: () => Promise<unknown> }) {
  return (
    <button type="button" class="quiet more" onClick={() => void onLoad()}>
      {words}
    </button>
  )
}

/** Says why the list is empty, once that is known. */
function Empty({ feed, isFiltered }: { feed: EventFeed; isFiltered: boolean }) {
  if (feed.isLoading.value || feed.error.value !== undefined) return null
  return (
    <p class="empty">
      {isFiltered
        ? 'No loaded event has this text.'
        : 'No events yet. Publish one with the form, or run the command under “Try it: publish”.'}
    </p>
  )
}

interface RowProps {
  event: ListedEvent
  /** From 1. */
  place: number
  size: number
  isOpen: boolean
  onOpen: () => void
}

function Row({ event: { key, id, type, time, text }, place, size, isOpen, onOpen }: RowProps) {
  return (
    <div
      id={`event-${key}`}
      role="option"
      class="row"
      data-id={id}
      aria-selected={isOpen}
      aria-setsize={size}
      aria-posinset={place}
      onClick={onOpen}
    >
      <time dateTime={time} title={time}>
        {formatTime(time)}
      </time>
      <span class={type === undefined ? 'type none' : 'type'}>{type ?? '–'}</span>
      <code>{text.slice(0, PREVIEW)}</code>
      {id === undefined && <span class="badge ephemeral">ephemeral</span>}
    </div>
  )
}

/** Pauses the list while it is scrolled away from its top, and continues when it is back. */
function usePauseOnScroll(feed: EventFeed, list: { current: HTMLElement | null }): void {
  useEffect(() => {
    const { current } = list
    if (!current) return
    /** Whether scrolling, and not a button, has paused the list. */
    let isScrolled = false
    const onScroll = () => {
      const isAway = current.scrollTop >= ROW
      if (isAway === isScrolled) return
      isScrolled = isAway
      if (isAway) feed.pause()
      else if (feed.isAtHead.value) void feed.resume()
    }
    current.addEventListener('scroll', onScroll, { passive: true })
    return () => current.removeEventListener('scroll', onScroll)
  }, [feed])
  // newer pages come on top: the rows in view stay where they are
  const count = useRef(0)
  useSignalEffect(() => {
    const { length } = feed.events.value
    const added = length - count.current
    count.current = length
    const { current } = list
    if (current && added > 0 && !feed.isAtHead.peek() && current.scrollTop < ROW)
      requestAnimationFrame(() => (current.scrollTop = added * ROW)) // when the rows have been drawn
  })
}

function pressed(
  event: KeyboardEvent,
  all: readonly ListedEvent[],
  opened: Signal<ListedEvent | undefined>,
  open: (index: number) => void,
): void {
  const current = all.findIndex(({ key }) => key === opened.value?.key)
  const target = targetOf(event.key, current, all.length)
  if (event.key === 'Escape' && opened.value) opened.value = undefined
  else if (target !== undefined) open(target)
  else return
  event.preventDefault()
}

/** Returns the row that a key goes to; `undefined`: it is no key of the list. */
function targetOf(key: string, current: number, count: number): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return current + 1
    case 'ArrowUp':
      return Math.max(0, current - 1)
    case 'PageDown':
      return current + 10
    case 'PageUp':
      return current - 10
    case 'Home':
      return 0
    case 'End':
      return count - 1
    case 'Enter':
      return Math.max(0, current)
    default:
      return undefined
  }
}

/** Scrolls until a row is visible. */
function reveal(list: HTMLElement | null, index: number): void {
  if (!list) return
  const top = index * ROW
  if (top < list.scrollTop) list.scrollTop = top
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight
}
