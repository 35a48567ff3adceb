import { useState } from 'react'
import { ask } from '../shared/ask.js'
import { Empty, Page, show } from '../shared/react/page.js'
import { useTopic } from '../shared/react/use-topic.js'
import type { Message } from './server.js'

/** The maximum number of shown messages. The total counts all messages. */
const SHOWN = 20

function Messages() {
  const stream = useTopic<Message>('messages', SHOWN)
  const [error, setError] = useState('')
  const { events, state } = stream
  const total = events.at(-1)?.data.number ?? (state.status === 'live' ? 0 : '–')

  async function send(): Promise<void> {
    try {
      await ask('message')
      setError('')
    } catch (err) {
      setError((err as Error).message)
    }
  }

  return (
    <Page
      title="Messages"
      intro="The button sends a message to every page. The total counts all messages."
      stream={stream}
    >
      <section className="card" aria-label="Total">
        <p className="number big">
          <span id="total">{total}</span> <small className="muted">in all</small>
        </p>
        <button type="button" onClick={() => void send()}>
          Send a message
        </button>
        <p className="error" role="alert">
          {error}
        </p>
      </section>
      <section className="card" aria-labelledby="messages-title">
        <h2 id="messages-title">Newest messages</h2>
        {events.length ? (
          <ol className="list">
            {events.toReversed().map(({ id, data: { number, text } }) => (
              <li key={id}>
                <span className="number muted">{number}</span> {text}
              </li>
            ))}
          </ol>
        ) : (
          <Empty stream={stream}>No message has been sent yet.</Empty>
        )}
      </section>
    </Page>
  )
}

show(<Messages />)
