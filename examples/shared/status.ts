/** The status of a stream on a page. An `EventSource` reconnects by itself from its last id. */

/**
 * - `connecting`: the stream has not been open yet
 * - `live`: the stream is open
 * - `reconnecting`: the connection was lost, and the browser reconnects
 * - `ended`: the hub refused the stream for good, or the page closed it
 */
export type Status = 'connecting' | 'live' | 'reconnecting' | 'ended'

/** A status in words. */
export const WORDS: Record<Status, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  ended: 'Not connected',
}

/** Calls `onStatus` with the status of a stream now, and at each change. */
export function watch(source: EventSource, onStatus: (status: Status) => void): void {
  onStatus(source.readyState === EventSource.OPEN ? 'live' : 'connecting')
  source.addEventListener('open', () => onStatus('live'))
  source.addEventListener('error', () => onStatus(source.readyState === EventSource.CLOSED ? 'ended' : 'reconnecting'))
}

/** Writes a status into an element with `role="status"`. */
export function show(element: HTMLElement, status: Status): void {
  element.className = `status ${status}`
  element.textContent = WORDS[status]
}

/**
 * Returns the URL of the hub, from the example's server (`GET /hub`). For browsers, 127.0.0.1 and localhost are two
 * sites, which do not share cookies. So a page on localhost uses the hub's URL with localhost.
 */
export async function hubUrl(): Promise<string> {
  const { url } = (await (await fetch('hub')).json()) as { url: string }
  return location.hostname === 'localhost' ? url.replace('//127.0.0.1:', '//localhost:') : url
}
