/** The hub of a page, and its state in words. */
import { connect, type ConnectOptions, type Gap, type Hub, type HubState } from 'fanfare-client'
import { element } from './element.js'

/** The longest wait before a reconnect, in milliseconds. It is short, since you restart an example's hub by hand. */
const MAX_WAIT = 5_000

/**
 * Connects the page to the hub. For browsers, 127.0.0.1 and localhost are two sites, which do not share cookies: a page
 * on localhost uses the hub's URL with localhost.
 */
export function connectHub(options: ConnectOptions = {}): Hub {
  const url = import.meta.env['HUB_URL'] as string // set by serve.ts
  const near = location.hostname === 'localhost' ? url.replace('//127.0.0.1:', '//localhost:') : url
  return connect(near, { maxWait: MAX_WAIT, ...options })
}

export type Status = 'connecting' | 'live' | 'reconnecting' | 'ended'

/** A status in words. */
export const WORDS: Record<Status, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  ended: 'Not connected',
}

export function statusOf({ status }: HubState): Status {
  if (status === 'waiting') return 'reconnecting'
  if (status === 'closed') return 'ended'
  return status === 'connecting' ? 'connecting' : 'live'
}

/** Returns the error behind a state in words; empty if there is none. */
export function reasonOf({ error }: HubState): string {
  return error instanceof Error ? error.message : ''
}

/** Shows the state of the hub, and the error behind it, in the elements `status` and `reason`. */
export function showState(hub: Hub): void {
  const show = (state: HubState): void => {
    const status = statusOf(state)
    element('status').className = `status ${status}`
    element('status').textContent = WORDS[status]
    const reason = document.querySelector('#reason')
    if (reason && status !== 'connecting') reason.textContent = reasonOf(state)
  }
  show(hub.state)
  hub.on('state', show)
}

const GAPS: Partial<Record<Gap['reason'], string>> = {
  expired: 'Events are missing here: the hub no longer keeps them.',
  epoch: 'Events may be missing here: the hub has begun a new log.',
}

/** Returns a text for users about a gap. */
export function wordsOfGap({ reason }: Gap): string {
  return GAPS[reason] ?? 'Events may be missing here.'
}
