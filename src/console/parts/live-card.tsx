/** The live events of a topic, newest first. It keeps a limited number of events. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { LiveStream, type LiveEvent } from '../hub/stream.js'
import { EventList } from './event-list.js'
import { StreamBadge, StreamNotices } from './stream-state.js'

/** How many events are kept. */
const KEPT = 200

/** An event and its number among the received events, which is its key: an ephemeral event has no id. */
interface Arrived extends LiveEvent {
  order: number
}

export function LiveCard({ topic }: { topic: string }) {
  const stream = useSignal<LiveStream | undefined>(undefined)
  const events = useSignal<readonly Arrived[]>([])
  const count = useSignal(0)
  const isPaused = useSignal(false)

  useEffect(() => {
    // Events of one animation frame are drawn together: a busy topic has more events than a page can draw one by one.
    let arrived: Arrived[] = []
    let frame: number | undefined
    const show = () => {
      frame = undefined
      events.value = [...arrived.reverse(), ...events.value].slice(0, KEPT)
      arrived = []
    }
    const opened = new LiveStream({
      topics: [topic],
      onEvent: (event) => {
        count.value++
        if (isPaused.value) return
        arrived.push({ ...event, order: count.value })
        if (arrived.length > KEPT) arrived.shift()
        frame ??= requestAnimationFrame(show)
      },
    })
    stream.value = opened
    return () => {
      opened.close()
      if (frame !== undefined) cancelAnimationFrame(frame)
    }
  }, [topic])

  return (
    <section class="card" aria-labelledby="live">
      <div class="head">
        <h2 id="live">Live</h2>
        {stream.value && <StreamBadge stream={stream.value} what="this topic" />}
        <button
          type="button"
          class="quiet"
          aria-pressed={isPaused.value}
          onClick={() => (isPaused.value = !isPaused.value)}
        >
          {isPaused.value ? 'Resume' : 'Pause'}
        </button>
      </div>
      {stream.value && <StreamNotices stream={stream.value} what="This topic" />}
      {count.value === 0 ? (
        <p class="muted">No events since you opened this page.</p>
      ) : (
        <p class="muted">
          {count} {count.value === 1 ? 'event' : 'events'}
          {count.value > KEPT ? `; the newest ${KEPT} are shown` : ''}.
        </p>
      )}
      <EventList name="Live events" events={events.value.map((event) => ({ ...event, key: String(event.order) }))} />
    </section>
  )
}
