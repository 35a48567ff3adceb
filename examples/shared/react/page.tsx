/** The common parts of the pages: the title, the state of the stream, and a button to reconnect. */
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { reasonOf, statusOf, WORDS } from '../status.js'
import type { TopicEvents } from './use-topic.js'

interface PageProps {
  title: string
  intro: string
  stream: TopicEvents<unknown>
  /** The number of clients of the hub; `undefined` if it is unknown. */
  clients?: number | undefined
  children: ReactNode
}

export function Page({ title, intro, stream: { state, connect }, clients, children }: PageProps) {
  const status = statusOf(state)
  return (
    <main>
      <header>
        <h1>{title}</h1>
        {clients !== undefined && (
          <span className="muted number" id="clients">
            {clients === 1 ? '1 client' : `${clients} clients`}
          </span>
        )}
        <span className={`status ${status}`} role="status">
          {WORDS[status]}
        </span>
      </header>
      <p className="intro">{intro}</p>
      {status === 'ended' && (
        <div className="error actions notice" role="alert">
          <span>No new events arrive. {reasonOf(state)}</span>
          <button type="button" className="quiet" onClick={connect}>
            Connect again
          </button>
        </div>
      )}
      {children}
    </main>
  )
}

/** The text of an empty page: no event has arrived yet, or there are no events. */
export function Empty({ stream: { state }, children }: { stream: TopicEvents<unknown>; children: ReactNode }) {
  if (state.status === 'live') return <p className="empty">{children}</p>
  return (
    <p className="empty">{state.status === 'closed' ? 'Nothing has come from the hub.' : 'Waiting for the hub…'}</p>
  )
}

/** Draws a page into the document. */
export function show(page: ReactNode): void {
  createRoot(document.querySelector('#page')!).render(page)
}
