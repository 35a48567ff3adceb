/** One event: its attributes, its payload as a tree, and buttons that copy it. */
import { formatAge, formatBytes, formatDateTime } from '../format.js'
import { ageOf } from '../hub/clock.js'
import type { ListedEvent } from '../hub/event-feed.js'
import { CopyButton } from './copy.js'
import { JsonTree } from './json-tree.js'

export function EventDetail({ event, onClose }: { event: ListedEvent; onClose: () => void }) {
  const { id, type, data, isText, text } = event
  return (
    <section class="card detail" aria-labelledby="detail">
      <div class="head">
        <h2 id="detail">{type ?? 'Event without a type'}</h2>
        <button type="button" class="quiet" onClick={onClose}>
          Close <kbd>Esc</kbd>
        </button>
      </div>
      <Facts event={event} />
      <div class="buttons">
        <CopyButton what="payload" text={() => (isText ? text : JSON.stringify(data, undefined, 2))} />
        {id !== undefined && <CopyButton what="id" text={() => id} />}
      </div>
      <div class="payload" tabIndex={0} role="group" aria-label="Payload">
        {isText ? <pre>{text}</pre> : <JsonTree value={data} />}
      </div>
    </section>
  )
}

function Facts({ event: { id, time, attributes, isText, text } }: { event: ListedEvent }) {
  return (
    <dl class="facts">
      <dt>Id</dt>
      <dd>
        <code>{id ?? 'none: it is ephemeral'}</code>
      </dd>
      <dt>Time</dt>
      <dd>
        <time dateTime={time}>
          {formatDateTime(time)} <span class="muted">({formatAge(ageOf(time))} ago)</span>
        </time>
      </dd>
      <dt>Payload</dt>
      <dd>
        {isText ? 'text' : 'JSON'}, {formatBytes(new Blob([text]).size)}
      </dd>
      {attributes &&
        Object.entries(attributes).map(([name, value]) => (
          <>
            <dt class="attribute">{name}</dt>
            <dd>
              <code>{value}</code>
            </dd>
          </>
        ))}
    </dl>
  )
}
