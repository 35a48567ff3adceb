/** What the hub keeps of a topic, and what comes, as the state of a component. */
import { useEffect, useState } from 'react'
import { hubUrl, watch, type Status } from '../status.js'

export interface Entry<Data> {
  id: string
  data: Data
}

export interface EventStream<Data> {
  status: Status
  /** Newest first; `undefined` until everything that was asked for has come. */
  events: Entry<Data>[] | undefined
  /** Opens it anew, after it has `ended`. */
  connect: () => void
}

/**
 * How many events of a topic the hub keeps (`FANFARE_RETAIN_EVENTS`): a page shows no more, and the same after a
 * reload.
 */
const RETAINED = 1_000

/**
 * Subscribes to a topic.
 * @param replay how many of the events that are kept come first; no more than that are shown
 */
export function useEventStream<Data>(topic: string, replay: number | 'all'): EventStream<Data> {
  const [status, setStatus] = useState<Status>('connecting')
  const [events, setEvents] = useState<Entry<Data>[]>()
  const [attempt, setAttempt] = useState(0)

  useEffect(() => {
    const shown = replay === 'all' ? RETAINED : replay
    let source: EventSource | undefined
    let isOver = false

    function open(hub: string): void {
      if (isOver) return
      let received: Entry<Data>[] = []
      let isLive = false
      source = new EventSource(`${hub}/topics/${topic}/events?replay=${replay}`)
      source.addEventListener('message', ({ lastEventId: id, data }: MessageEvent<string>) => {
        received = [{ id, data: JSON.parse(data) as Data }, ...received].slice(0, shown)
        if (isLive) setEvents(received)
      })
      // What follows a gap is all that the hub has (docs/api.md): the page starts over, as a reload would.
      source.addEventListener('fanfare.gap', () => (received = []))
      // Between these two comes the past, which is shown at once and not row by row.
      source.addEventListener('fanfare.open', () => (isLive = false))
      source.addEventListener('fanfare.live', () => {
        isLive = true
        setEvents(received)
      })
      watch(source, setStatus)
    }

    setStatus('connecting')
    hubUrl().then(open, () => setStatus('ended'))
    return () => {
      isOver = true
      source?.close()
    }
  }, [topic, replay, attempt])

  return { status, events, connect: () => setAttempt(attempt + 1) }
}
