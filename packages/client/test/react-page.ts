/** A page of React components with the hooks, under StrictMode. Part of it is suspended at first. */
import { createElement as h, StrictMode, Suspense, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { connect } from '../src/index.js'
import { useEvents, useHubState, usePresence, useSubscription } from '../src/react.js'

declare global {
  interface Window {
    start(url: string, token: string): void
    /** Ends the suspension. */
    proceed(): void
  }
}

let isReady = false
const ready = new Promise<void>((resolve) => {
  window.proceed = () => {
    isReady = true
    resolve()
  }
})

window.start = (url, token) => {
  const hub = connect(url, { token, maxWait: 100 })

  function Room({ topic }: { topic: string }) {
    const [total, setTotal] = useState(0)
    const { events, state } = useEvents<number>(hub, topic, { limit: 3 })
    const { subjects } = usePresence(hub, topic)
    const refused = useSubscription(hub, 'secret', () => undefined)
    useSubscription<number>(hub, topic, ({ data }) => setTotal((before) => before + data))
    return h(
      'p',
      { id: 'room' },
      JSON.stringify({
        events: events.map(({ data }) => data),
        status: state.status,
        present: subjects.map(({ subject }) => subject),
        refused: (refused.error as { code?: string } | undefined)?.code,
        total,
      }),
    )
  }

  function Late() {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- how a component of React 18 suspends
    if (!isReady) throw ready
    return h('p', { id: 'late' }, useEvents(hub, 'a').events.length)
  }

  function App() {
    const [topic, setTopic] = useState('a')
    const { status } = useHubState(hub)
    return h(
      'main',
      null,
      h('button', { onClick: () => setTopic('b') }, 'other'),
      h(Room, { topic }),
      h('p', { id: 'hub' }, status),
      h(Suspense, { fallback: h('p', { id: 'fallback' }) }, h(Late)),
    )
  }

  createRoot(document.body).render(h(StrictMode, null, h(App)))
}
document.title = 'ready'
