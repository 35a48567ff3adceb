/** The subjects that are present on a topic. */
import type { Static } from 'typebox'
import type { Presence } from '../../schemas/presence.js'
import { formatAge, formatDateTime, formatNumber } from '../format.js'
import { topicPath } from '../hub/address.js'
import { ageOf } from '../hub/clock.js'
import { useResource } from '../hub/resource.js'

const INTERVAL = 2_000

export function PresenceCard({ topic }: { topic: string }) {
  const { value, error } = useResource<Static<typeof Presence>>(topicPath(topic, '/presence'), {}, INTERVAL)
  const subjects = value.value?.subjects
  return (
    <section class="card" aria-labelledby="presence">
      <h2 id="presence">Present{subjects && subjects.length > 0 ? ` (${formatNumber(subjects.length)})` : ''}</h2>
      {error.value !== undefined && <p class="muted">{error}</p>}
      {subjects?.length === 0 && (
        <p class="empty">No subject is present. A subject is present while it has a stream of this topic.</p>
      )}
      {subjects && subjects.length > 0 && (
        <ul class="plain present" tabIndex={0} aria-labelledby="presence">
          {subjects.map(({ subject, connections, since, info }) => (
            <li key={subject}>
              <strong>{subject}</strong>{' '}
              <span class="muted">
                {connections === 0
                  ? 'reconnecting'
                  : `${formatNumber(connections)} ${connections === 1 ? 'stream' : 'streams'}`}
                , <time title={formatDateTime(since)}>{formatAge(ageOf(since))}</time>
              </span>
              {info !== null && <code>{JSON.stringify(info)}</code>}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
