/** A list of events with their types, times, ids and payloads. */
import { formatTime } from '../format.js'

export interface ShownEvent {
  key: string
  /** `undefined` for an ephemeral event. */
  id: string | undefined
  type: string | undefined
  time: string
  attributes: Record<string, string> | undefined
  data: unknown
  isText: boolean
}

export function EventList({ name, events }: { name: string; events: ShownEvent[] }) {
  if (events.length === 0) return null
  return (
    <ol class="events" aria-label={name} tabIndex={0}>
      {events.map(({ key, id, type, time, attributes, data, isText }) => (
        <li key={key} data-id={id}>
          <div class="about">
            <time dateTime={time} title={time}>
              {formatTime(time)}
            </time>
            {type !== undefined && <span class="type">{type}</span>}
            <code class="muted">{id ?? 'ephemeral'}</code>
          </div>
          {attributes && (
            <dl class="attributes">
              {Object.entries(attributes).map(([attribute, value]) => (
                <div key={attribute}>
                  <dt>{attribute}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          )}
          <pre>{isText ? String(data) : JSON.stringify(data)}</pre>
        </li>
      ))}
    </ol>
  )
}
