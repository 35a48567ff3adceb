/** A list of events with their types, times, ids and payloads. */
import { formatTime } from '../format.js'

export interface ShownEvent {
  key: string
  /** `undefined` for an ephemeral event. */
  id: string | undefined
  type: string | undefined
  time: string
  data: unknown
  isText: boolean
}

export function EventList({ name, events }: { name: string; events: ShownEvent[] }) {
  if (events.length === 0) return null
  return (
    <ol class="events" aria-label={name} tabIndex={0}>
      {events.map(({ key, id, type, time, data, isText }) => (
        <li key={key} data-id={id}>
          <div class="about">
            <time dateTime={time} title={time}>
              {formatTime(time)}
            </time>
            {type !== undefined && <span class="type">{type}</span>}
            <code class="muted">{id ?? 'ephemeral'}</code>
          </div>
          <pre>{isText ? String(data) : JSON.stringify(data)}</pre>
        </li>
      ))}
    </ol>
  )
}
