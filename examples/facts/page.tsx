import { memo } from 'react'
import { Empty, Page, show } from '../shared/react/page.js'
import { PostForm } from '../shared/react/post-form.js'
import { useClients } from '../shared/react/use-clients.js'
import { useTopic } from '../shared/react/use-topic.js'
import type { Fact } from './server.js'

/** As many as the hub keeps of a topic (`FANFARE_RETAIN_EVENTS`), so a reload shows the same. */
const SHOWN = 1_000

function Facts() {
  const stream = useTopic<Fact>('facts', SHOWN)
  const clients = useClients(stream.state)
  return (
    <Page
      title="Facts"
      intro="Post a fact and its source. Every page shows it at once."
      stream={stream}
      clients={clients}
    >
      <PostForm to="fact" button="Post the fact">
        <label className="info">
          Fact
          <textarea name="info" required maxLength={500} rows={2} />
        </label>
        <label>
          Source
          <input name="source" required maxLength={100} autoComplete="off" />
        </label>
      </PostForm>
      {stream.events.length ? (
        <ul className="list" aria-label="Facts">
          {stream.events.toReversed().map(({ id, data }) => (
            <Quote key={id} fact={data} />
          ))}
        </ul>
      ) : (
        <Empty stream={stream}>No fact has been posted yet.</Empty>
      )}
    </Page>
  )
}

/** Memoized: when a fact arrives, React draws only that fact. */
const Quote = memo(function Quote({ fact: { info, source } }: { fact: Fact }) {
  return (
    <li>
      <figure className="card">
        <blockquote>{info}</blockquote>
        <figcaption className="muted">— {source}</figcaption>
      </figure>
    </li>
  )
})

show(<Facts />)
