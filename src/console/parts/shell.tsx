/** The frame of every page: navigation, search, the state of the console's own stream, and the button to sign out. */
import type { ComponentChildren } from 'preact'
import { useLayoutEffect } from 'preact/hooks'
import { isAdmin, monitor, watchHub } from '../hub/monitor.js'
import { signOut } from '../hub/session.js'
import { ConnectionPage } from '../pages/connection.js'
import { ConnectionsPage } from '../pages/connections.js'
import { NodesPage } from '../pages/nodes.js'
import { OverviewPage } from '../pages/overview.js'
import { TopicPage } from '../pages/topic.js'
import { TopicsPage } from '../pages/topics.js'
import { linkTo, route, titleOf, type Route } from '../route.js'
import { SearchBox } from './search-box.js'
import { StreamBadge, StreamNotices } from './stream-state.js'

const LINKS: { page: 'overview' | 'topics' | 'connections' | 'nodes'; name: string; isForAdmins?: boolean }[] = [
  { page: 'overview', name: 'Overview' },
  { page: 'topics', name: 'Topics' },
  { page: 'connections', name: 'Connections', isForAdmins: true },
  { page: 'nodes', name: 'Nodes', isForAdmins: true },
]

export function Shell() {
  useLayoutEffect(watchHub, []) // before the page draws what an earlier session has left
  useLayoutEffect(() => void (document.title = `${titleOf(route.value)} · Fanfare`), [route.value])
  const { page } = route.value
  const stream = monitor.value
  return (
    <>
      <header class="bar">
        <a class="brand" href={linkTo({ page: 'overview' })}>
          Fanfare
        </a>
        <nav aria-label="Pages">
          {LINKS.filter(({ isForAdmins }) => !isForAdmins || isAdmin.value !== false).map((link) => (
            <a
              key={link.page}
              href={linkTo({ page: link.page })}
              aria-current={page.startsWith(link.page.replace(/s$/, '')) ? 'page' : undefined}
            >
              {link.name}
            </a>
          ))}
        </nav>
        <SearchBox />
        {stream && isAdmin.value !== false && <StreamBadge stream={stream} what="the hub" />}
        <button type="button" class="quiet out" onClick={() => signOut()}>
          Sign out
        </button>
      </header>
      <main class={`page-${page}`}>
        {stream && isAdmin.value !== false && <StreamNotices stream={stream} what="The stats of the hub" />}
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
      return <ConnectionsPage key={target.search} search={target.search} />
    case 'connection':
      return <ConnectionPage key={target.id} id={target.id} />
    case 'nodes':
      return <NodesPage />
  }
}
