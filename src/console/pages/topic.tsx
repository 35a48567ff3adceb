/** The page of one topic: its events, its presence, a form that publishes, its end if it is finite, and the purge. */
import { useSignal } from '@preact/signals'
import type { Static } from 'typebox'
import type { Purged, TopicDetails } from '../../schemas/topic.js'
import { formatBytes, formatCount, formatNumber } from '../format.js'
import { topicPath } from '../hub/address.js'
import { call } from '../hub/api.js'
import { isAdmin } from '../hub/monitor.js'
import { useResource } from '../hub/resource.js'
import { Confirm } from '../parts/confirm.js'
import { EventBrowser } from '../parts/event-browser.js'
import { Figures } from '../parts/figures.js'
import { FiniteCard } from '../parts/finite-card.js'
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
  const { value, error, isForbidden, refresh } = useResource<TopicDetails>(topicPath(topic), {}, INTERVAL)
  const isPurging = useSignal(false)
  const purged = useSignal<number | undefined>(undefined)
  /** A purged topic has another list of events. */
  const generation = useSignal(0)
  const info = value.value
  const purge = async () => {
    const answer = await call<Static<typeof Purged>>(topicPath(topic, '/events'), { method: 'DELETE' })
    purged.value = answer.purged
    generation.value++
    refresh()
  }
  return (
    <>
      <Title topic={topic} info={info} onPurge={() => (isPurging.value = true)} />
      {isPurging.value && (
        <PurgeDialog topic={topic} info={info} onConfirm={purge} onClose={() => (isPurging.value = false)} />
      )}
      {purged.value !== undefined && (
        <Notice tone="success" onDismiss={() => (purged.value = undefined)}>
          {formatCount(purged.value, 'event')} purged.
        </Notice>
      )}
      {error.value !== undefined && !isForbidden.value && <Notice tone="error">{error}</Notice>}
      {info && <TopicFigures info={info} />}
      {info?.stream && <FiniteCard topic={topic} stream={info.stream} onChange={refresh} />}
      <EventBrowser key={generation.value} topic={topic}>
        {!info?.stream && <PublishForm topic={topic} />}
        <PresenceCard topic={topic} />
      </EventBrowser>
      <TryIt title="subscribe" {...subscribing(topic, { replay: '10' }, SHOW_EVENTS)} />
      <TryIt title="publish" {...publishing(topic)} />
    </>
  )
}

interface TitleProps {
  topic: string
  info: TopicDetails | undefined
  onPurge: () => void
}

function Title({ topic, info, onPurge }: TitleProps) {
  return (
    <div class="title">
      <h1 class="name">{topic}</h1>
      {isAdmin.value === true && !info?.stream && (
        <button type="button" class="danger quiet" disabled={!info?.events} onClick={onPurge}>
          Purge…
        </button>
      )}
    </div>
  )
}

interface PurgeDialogProps {
  topic: string
  info: TopicDetails | undefined
  onConfirm: () => Promise<void>
  onClose: () => void
}

/** Asks before the events of a topic are purged. */
function PurgeDialog({ topic, info, onConfirm, onClose }: PurgeDialogProps) {
  return (
    <Confirm title={`Purge ${topic}?`} action="Purge" onConfirm={onConfirm} onClose={onClose}>
      <p>
        This removes all {formatCount(info?.events ?? 0, 'event')} of the topic from the log. It cannot be undone.
        Subscribers that have not read them get a gap.
      </p>
    </Confirm>
  )
}

function TopicFigures({ info }: { info: TopicDetails }) {
  return (
    <Figures
      figures={[
        ['Subscribers', formatNumber(info.subscribers)],
        ['Events kept', formatNumber(info.events)],
        ['Size', formatBytes(info.bytes)],
        ['Newest', <code>{info.lastId ?? '–'}</code>],
      ]}
    />
  )
}
