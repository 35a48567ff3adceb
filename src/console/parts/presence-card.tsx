/** The subjects that are present on a topic. */
import type { Static } from 'typebox'
import type { Presence } from '../../schemas/presence.js'
import { formatDateTime, formatNumber } from '../format.js'
import { topicPath } from '../hub/address.js'
import { useResource } from '../hub/resource.js'

const INTERVAL = 2_000

export function PresenceCard({ topic }: { topic: string }) {
  const { value, error } = useResource<Static<typeof Presence>>(topicPath(topic, '/presence'), {}, INTERVAL)
  const subjects = value.value?.subjects
  return (
    <section class="card" aria-labelledby="presence">
      <h2 id="presence">Present{subjects && subjects.length > 0 ? ` (${formatNumber(subjects.length)})` : ''}</h2>
      {error.value !== undefined && <p class="muted">{error}</p>}
      {subjects?.length === 0 && <p class="muted">No subject is present.</p>}
      {subjects && subjects.length > 0 && (
        <ul class="plain">
          {subjects.map(({ subject, connections, since, info }) => (
            <li key={subject}>
              <strong>{subject}</strong>{' '}
              <span class="muted">
                {connections === 0
                  ? 'reconnecting'
                  : `${formatNumber(connections)} ${connections === 1 ? 'stream' : 'streams'}`}
                , since {formatDateTime(since)}
              </span>
              {info !== null && <pre>{JSON.stringify(info)}</pre>}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
