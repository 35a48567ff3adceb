/** The page of one topic: live events, history, presence, and a form that publishes. */
import type { Static } from 'typebox'
import type { TopicInfo } from '../../schemas/topic.js'
import { formatBytes, formatNumber } from '../format.js'
import { topicPath } from '../hub/address.js'
import { useResource } from '../hub/resource.js'
import { Figures } from '../parts/figures.js'
import { HistoryCard } from '../parts/history-card.js'
import { LiveCard } from '../parts/live-card.js'
import { Notice } from '../parts/notice.js'
import { PresenceCard } from '../parts/presence-card.js'
import { PublishForm } from '../parts/publish-form.js'
import { TryIt } from '../parts/try-it.js'
import { publishing, subscribing } from '../snippets.js'

const INTERVAL = 2_000

const SHOW_EVENTS = `const show = ({ type, data, lastEventId }) => console.log(type, lastEventId, data)
events.addEventListener('message', show) // events without a type
events.addEventListener('created', show) // events of this type; add a line for each type`

export function TopicPage({ topic }: { topic: string }) {
  const { value, error } = useResource<Static<typeof TopicInfo>>(topicPath(topic), {}, INTERVAL)
  const info = value.value
  return (
    <>
      <h1 class="name">{topic}</h1>
      {error.value !== undefined && <Notice tone="error">{error}</Notice>}
      {info && (
        <Figures
          figures={[
            ['Subscribers', formatNumber(info.subscribers)],
            ['Events kept', formatNumber(info.events)],
            ['Size', formatBytes(info.bytes)],
            ['Newest', <code>{info.lastId ?? '–'}</code>],
          ]}
        />
      )}
      <div class="columns">
        <div>
          <LiveCard topic={topic} />
          <HistoryCard topic={topic} newest={info?.lastId} />
        </div>
        <div>
          <PublishForm topic={topic} />
          <PresenceCard topic={topic} />
        </div>
      </div>
      <TryIt title="subscribe" {...subscribing(topic, { replay: '10' }, SHOW_EVENTS)} />
      <TryIt title="publish" {...publishing(topic)} />
    </>
  )
}
