/** The events of a topic as they come: the newest first, and not more than a person can look through. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { LiveStream, type LiveEvent } from '../hub/stream.js'
import { EventList } from './event-list.js'
import { StreamBadge, StreamNotices } from './stream-state.js'

/** How many are kept. */
const KEPT = 200

/** An event, and when it came among all that did: ephemeral ones have no id. */
interface Arrived extends LiveEvent {
  order: number
}

export function LiveCard({ topic }: { topic: string }) {
  const stream = useSignal<LiveStream | undefined>(undefined)
  const events = useSignal<readonly Arrived[]>([])
  const count = useSignal(0)
  const isPaused = useSignal(false)

  useEffect(() => {
    // What comes within one frame of the screen is shown at once: a busy topic has more than a page can draw one by
    // one.
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
          {isPaused.value ? 'Go on' : 'Pause'}
        </button>
      </div>
      {stream.value && <StreamNotices stream={stream.value} what="This topic" />}
      {count.value === 0 ? (
        <p class="muted">Nothing has come since this page was opened.</p>
      ) : (
        <p class="muted">
          {count} came{count.value > KEPT ? `; the newest ${KEPT} are shown` : ''}.
        </p>
      )}
      <EventList name="Live events" events={events.value.map((event) => ({ ...event, key: String(event.order) }))} />
    </section>
  )
}
