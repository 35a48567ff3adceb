/** The current page. It is in the fragment of the URL, so the hub needs no routes for it, and any prefix works. */
import { signal } from '@preact/signals'

export type Route =
  | { page: 'overview' }
  | { page: 'topics' }
  | { page: 'topic'; topic: string }
  | { page: 'connections'; search?: string }
  | { page: 'connection'; id: string }
  | { page: 'nodes' }

export const route = signal<Route>(read())

window.addEventListener('hashchange', () => (route.value = read()))

export function linkTo(target: Route): string {
  switch (target.page) {
    case 'overview':
      return '#/'
    case 'topics':
    case 'nodes':
      return `#/${target.page}`
    case 'connections':
      return target.search === undefined ? '#/connections' : `#/connections?${encodeURIComponent(target.search)}`
    case 'topic':
      return `#/topics/${encodeURIComponent(target.topic)}`
    case 'connection':
      return `#/connections/${encodeURIComponent(target.id)}`
  }
}

/** Returns the title of a page, for tabs and the history of the browser. */
export function titleOf(target: Route): string {
  switch (target.page) {
    case 'overview':
      return 'Overview'
    case 'topics':
      return 'Topics'
    case 'topic':
      return target.topic
    case 'connections':
      return 'Connections'
    case 'connection':
      return `Connection ${target.id}`
    case 'nodes':
      return 'Nodes'
  }
}

function read(): Route {
  if (location.hash === '#/nodes') return { page: 'nodes' }
  const [, search] = /^#\/connections\?(.+)$/.exec(location.hash) ?? []
  if (search !== undefined) return { page: 'connections', search: decode(search) }
  const [, page, name] = /^#\/(topics|connections)(?:\/(.+))?$/.exec(location.hash) ?? []
  if (page === 'topics') return name === undefined ? { page } : { page: 'topic', topic: decode(name) }
  if (page === 'connections') return name === undefined ? { page } : { page: 'connection', id: decode(name) }
  return { page: 'overview' }
}

/** Decodes a part of the address, which a user may have typed: an invalid encoding is kept as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
