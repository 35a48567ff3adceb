/** The frame of every page: navigation, the state of the console's own stream, and the button to sign out. */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect } from 'preact/hooks'
import { monitor, watchHub } from '../hub/monitor.js'
import { signOut } from '../hub/session.js'
import { ConnectionPage } from '../pages/connection.js'
import { ConnectionsPage } from '../pages/connections.js'
import { NodesPage } from '../pages/nodes.js'
import { OverviewPage } from '../pages/overview.js'
import { TopicPage } from '../pages/topic.js'
import { TopicsPage } from '../pages/topics.js'
import { linkTo, route, titleOf, type Route } from '../route.js'
import { StreamBadge, StreamNotices } from './stream-state.js'

const LINKS: { page: 'overview' | 'topics' | 'connections' | 'nodes'; name: string }[] = [
  { page: 'overview', name: 'Overview' },
  { page: 'topics', name: 'Topics' },
  { page: 'connections', name: 'Connections' },
  { page: 'nodes', name: 'Nodes' },
]

export function Shell() {
  useEffect(watchHub, [])
  useLayoutEffect(() => void (document.title = `${titleOf(route.value)} · Fanfare`), [route.value])
  const { page } = route.value
  const stream = monitor.value
  return (
    <>
      <header class="bar">
        <span class="brand">Fanfare</span>
        <nav aria-label="Pages">
          {LINKS.map((link) => (
            <a
              key={link.page}
              href={linkTo({ page: link.page })}
              aria-current={page.startsWith(link.page.replace(/s$/, '')) ? 'page' : undefined}
            >
              {link.name}
            </a>
          ))}
        </nav>
        {stream && <StreamBadge stream={stream} what="the hub" />}
        <button type="button" class="quiet" onClick={() => signOut()}>
          Sign out
        </button>
      </header>
      <main>
        {stream && (page === 'overview' || stream.state.value.phase !== 'refused') && (
          <StreamNotices stream={stream} what="The stats of the hub" isForAdmins />
        )}
        {pageOf(route.value)}
      </main>
    </>
  )
}

function pageOf(target: Route): ComponentChildren {
  switch (target.page) {
    case 'overview':
      return <OverviewPage />
    case 'topics':
      return <TopicsPage />
    case 'topic':
      return <TopicPage key={target.topic} topic={target.topic} />
    case 'connections':
      return <ConnectionsPage />
    case 'connection':
      return <ConnectionPage key={target.id} id={target.id} />
    case 'nodes':
      return <NodesPage />
  }
}
