/** What the server of an example needs of the hub: the client, and tokens for visitors. */
import { setTimeout as delay } from 'node:timers/promises'
import { createSigner } from 'fast-jwt'
import { connect, HubError, type Hub, type HubEvent } from 'fanfare-client'

/** The grants of a token (docs/api.md, "Tokens"). */
export interface Grants {
  sub?: string
  subscribe?: string[]
  publish?: string[]
  presence?: string[]
  info?: unknown
}

export interface HubAccess {
  /** The client, with a token for all topics. */
  hub: Hub
  /** The URL of the hub for browsers. */
  publicUrl: string
  /**
   * Returns a token for a visitor.
   * @param lifetime in milliseconds
   */
  sign: (grants: Grants, lifetime?: number) => string
}

/** How long a route waits for the hub, in milliseconds: less than a page waits for the route. */
export const SOON = { timeout: 5_000 }
/** The longest wait before the hub is asked again, in milliseconds. */
const MAX_WAIT = 1_000
const HOUR = 60 * 60_000

/** @param secret the secret of the hub */
export function createHubAccess(url: string, secret: string, publicUrl = url): HubAccess {
  function sign({ sub, ...fanfare }: Grants, lifetime = HOUR): string {
    const signer = createSigner({ key: secret, algorithm: 'HS256', expiresIn: lifetime })
    return signer({ ...(sub !== undefined && { sub }), fanfare })
  }
  const token = () => sign({ subscribe: ['**'], publish: ['**'] })
  return { hub: connect(url, { token, maxWait: MAX_WAIT }), publicUrl, sign }
}

/**
 * Returns the newest events of topics, oldest first, and waits for a hub that cannot be reached.
 * @throws HubError
 */
export async function newest<Data>(
  hub: Hub,
  topic: string,
  count: number,
  { timeout = Infinity, signal }: { timeout?: number; signal?: AbortSignal } = {},
): Promise<HubEvent<Data>[]> {
  const until = performance.now() + timeout
  for (;;) {
    try {
      const path = `topics/${encodeURIComponent(topic)}/events?last=${count}`
      const limit = Math.min(SOON.timeout, Math.max(0, until - performance.now()))
      return (await hub.request<{ events: HubEvent<Data>[] }>('GET', path, { signal, timeout: limit })).events
    } catch (error) {
      if (!(error instanceof HubError) || error.isFinal || performance.now() > until) throw error
      await delay(MAX_WAIT / 4, undefined, signal && { signal })
    }
  }
}
