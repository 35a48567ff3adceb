/**
 * One stream for all tabs of an origin. The tab that holds a Web Lock is the leader: it has the stream, and passes
 * every block on over a BroadcastChannel. The other tabs tell the leader what they want, and follow.
 *
 * Every tab has the lane's logic, with the relayed blocks as its shared stream. So a tab that takes over continues from
 * its own cursor, and a follower that has missed a message, or is ahead of the new leader, is in the same situation as
 * any subscription whose position differs from that of its stream (`subscription.ts`).
 */
import { backoff, delay } from './backoff.js'
import type { Http } from './http.js'
import { createSharedStream, IDLE, type SharedStream, type StreamUser } from './shared-stream.js'
import { joinGroup, type Group } from './tabs/group.js'
import { claimsOf } from './claims.js'

/** The wait after the first failure to get a token, in milliseconds. */
const RETRY = 1_000

/** @param lane differs between lanes */
export function createTabs(http: Http, user: StreamUser, lane: string): SharedStream {
  let group: Group | undefined
  let isSyncing = false
  let isJoining = false
  let identity: string | undefined

  function leave(): void {
    group?.leave()
    group = undefined
    user.onState(IDLE)
  }

  async function join(): Promise<void> {
    isJoining = true
    for (let failures = 0; !group && user.wanted().length > 0; failures++) {
      user.onState({ status: 'connecting' })
      try {
        identity = await identify(http)
        if (user.wanted().length === 0) break
        group =
          identity === undefined ? alone(http, user) : joinGroup(http, user, `fanfare ${http.url} ${identity} ${lane}`)
      } catch (error) {
        const retryIn = backoff(RETRY, failures, http.options.maxWait)
        user.onState({ status: 'waiting', reason: 'token', error, retryIn })
        await delay(retryIn)
      }
    }
    isJoining = false
    group?.sync()
    if (!group) user.onState(IDLE)
  }

  function sync(): void {
    if (isSyncing) return
    isSyncing = true
    queueMicrotask(() => {
      isSyncing = false
      if (user.wanted().length === 0 && !group?.serves) leave()
      else if (group) group.sync()
      else if (!isJoining) void join()
    })
  }

  /** A page that is suspended would keep the leader's lock. */
  addEventListener('pagehide', leave)
  addEventListener('pageshow', sync)
  document.addEventListener('freeze', leave)
  document.addEventListener('resume', sync)
  http.tokens.onToken.push((token) => {
    if (!group || identityIn(http, token) === identity) return
    leave() // another user: the stream of the others is not for this tab any more
    sync()
  })
  return { sync, stop: leave }
}

/**
 * Returns a text that is the same in all tabs with the same credentials; `undefined`: only the application knows the
 * user.
 */
async function identify(http: Http): Promise<string | undefined> {
  const { tickets, tabs } = http.options
  if (tickets) return typeof tabs === 'string' ? tabs : undefined
  return identityIn(http, await http.tokens.get())
}

/** Two tokens of one user have the same claims, apart from the times and the id. */
function identityIn({ options: { tabs, cookies } }: Http, token: string | undefined): string {
  const { exp, nbf, iat, jti, ...rights } = claimsOf(token)
  return JSON.stringify([tabs, cookies, rights])
}

/** Has a stream of its own. */
function alone(http: Http, user: StreamUser): Group {
  const { sync, stop } = createSharedStream(http, user)
  return { serves: false, sync, leave: stop }
}
