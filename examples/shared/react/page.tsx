/** The common parts of the pages: the title, the state of the stream, and a button to reconnect. */
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { WORDS } from '../status.js'
import type { EventStream } from './use-event-stream.js'

interface PageProps {
  title: string
  intro: string
  stream: EventStream<unknown>
  /** The number of clients of the hub; `undefined` if it is unknown. */
  clients?: number | undefined
  children: ReactNode
}

export function Page({ title, intro, stream: { status, connect }, clients, children }: PageProps) {
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
          <span>The stream from the hub has ended: no new events arrive.</span>
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
export function Empty({ stream: { status, events }, children }: { stream: EventStream<unknown>; children: ReactNode }) {
  if (events) return <p className="empty">{children}</p>
  return <p className="empty">{status === 'ended' ? 'Nothing has come from the hub.' : 'Waiting for the hub…'}</p>
}

/** Draws a page into the document. */
export function show(page: ReactNode): void {
  createRoot(document.querySelector('#page')!).render(page)
}
