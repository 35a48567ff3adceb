/** How a stream is doing, as a page shows it. `EventSource` comes back by itself, from the last id that it has read. */

/**
 * - `connecting`: it has not been open yet
 * - `live`: it is open
 * - `reconnecting`: it was lost, and the browser tries again
 * - `ended`: the hub refused it for good, or it was closed
 */
export type Status = 'connecting' | 'live' | 'reconnecting' | 'ended'

/** A status in words. */
export const WORDS: Record<Status, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  ended: 'Not connected',
}

/** Tells the status of a stream now, and whenever it changes. */
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
 * Where the hub is, as the example's server says (`GET /hub`). Browsers take 127.0.0.1 and localhost for two sites, and
 * keep the cookies of one from pages of the other: the hub is called by the page's own name where both are this
 * machine.
 */
export async function hubUrl(): Promise<string> {
  const { url } = (await (await fetch('hub')).json()) as { url: string }
  return location.hostname === 'localhost' ? url.replace('//127.0.0.1:', '//localhost:') : url
}
