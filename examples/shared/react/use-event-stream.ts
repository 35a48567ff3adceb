/** The retained and the new events of a topic, as the state of a component. */
import { useEffect, useState } from 'react'
import { hubUrl, watch, type Status } from '../status.js'

export interface Entry<Data> {
  id: string
  data: Data
}

export interface EventStream<Data> {
  status: Status
  /** Newest first; `undefined` until the requested replay has arrived. */
  events: Entry<Data>[] | undefined
  /** Opens a new stream after the status `ended`. */
  connect: () => void
}

/**
 * The number of events of a topic that the hub keeps (`FANFARE_RETAIN_EVENTS`). A page shows no more, so a reload shows
 * the same.
 */
const RETAINED = 1_000

/**
 * Subscribes to a topic.
 * @param replay the number of retained events to start with, and the maximum number of shown events
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
      // After a gap the hub sends all events that it has (docs/api.md): the page starts over, as after a reload.
      source.addEventListener('fanfare.gap', () => (received = []))
      // Between these two blocks the replay arrives. The page shows it at once, not row by row.
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
