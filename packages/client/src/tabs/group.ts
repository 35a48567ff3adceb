/** The tabs that share a stream, and the election of their leader with a Web Lock. */
import type { Http } from '../http.js'
import { randomId } from '../publish.js'
import type { StreamUser } from '../shared-stream.js'
import { listenForWake } from '../watchdog.js'
import { createFollower } from './follower.js'
import { createLeader, type Leader } from './leader.js'
import type { Message } from './messages.js'

/** The silence of a leader after which a follower asks for a sign of life, in milliseconds. */
const SILENCE = 20_000
/** The time that a leader has for this sign, in milliseconds. A suspended tab keeps its lock, but does not answer. */
const ANSWER = 4_000

export interface Group {
  /** Whether other tabs depend on this one. */
  readonly serves: boolean
  /** Tells the others what this tab wants. */
  sync(): void
  leave(): void
}

/** @param name the same in all tabs that share a stream */
export function joinGroup(http: Http, user: StreamUser, name: string): Group {
  const { locks } = navigator
  const channel = new BroadcastChannel(name)
  const left = new AbortController()
  const self = randomId()
  /** The topics and patterns of the other tabs. */
  const members = new Map<string, string[]>()
  /** The tabs whose end the leader waits for. */
  const watched = new Set<string>()
  let leader: Leader | undefined
  let wanted = ''
  let queued = new AbortController()
  let heard = performance.now()
  let hasAsked = false

  const post = (message: Message): void => channel.postMessage(message)
  const untilLeft = (): Promise<void> =>
    new Promise((resolve) => left.signal.addEventListener('abort', () => resolve()))
  const tellWanted = (): void => post({ kind: 'want', from: self, patterns: user.wanted() })
  const follower = createFollower(user, tellWanted)

  /** Waits for the leader's lock, or takes it from a leader that does not answer. */
  function queue(isStolen = false): void {
    queued.abort()
    queued = new AbortController()
    let hasLed = false
    locks
      .request(name, isStolen ? { steal: true } : { signal: queued.signal }, () => {
        if (left.signal.aborted) return undefined
        hasLed = true
        lead()
        return untilLeft()
      })
      .catch(() => {
        if (!hasLed || left.signal.aborted) return
        leader?.stop() // another tab has taken the lock
        leader = undefined
        follower.reset()
        queue()
        tellWanted()
      })
  }

  function lead(): void {
    const term = randomId()
    leader = createLeader(http, user, term, members, post)
    post({ kind: 'lead', term })
    watchMembers()
    leader.sync()
  }

  /** Forgets each tab whose own lock becomes free: it has gone. */
  function watchMembers(): void {
    if (!leader) return
    for (const member of members.keys()) {
      if (watched.has(member)) continue
      watched.add(member)
      locks
        .request(`${name} ${member}`, { signal: left.signal }, () => {
          watched.delete(member)
          members.delete(member)
          leader?.sync()
        })
        .catch(() => undefined)
    }
  }

  function onMessage({ data: message }: MessageEvent<Message>): void {
    if (message.kind === 'want') {
      if (message.patterns.length > 0) members.set(message.from, message.patterns)
      else members.delete(message.from)
      watchMembers()
      leader?.answer()
      leader?.sync()
    } else if (!leader) {
      heard = performance.now()
      hasAsked = false
      follower.take(message)
    }
  }

  function ask(): void {
    if (leader) return
    hasAsked = true
    heard = performance.now()
    tellWanted()
  }

  function check(): void {
    const silence = performance.now() - heard
    if (leader || silence <= ANSWER) return
    if (hasAsked) {
      hasAsked = false
      follower.reset()
      queue(true)
    } else if (silence > SILENCE) ask()
  }

  const timer = setInterval(check, ANSWER)
  listenForWake(left.signal, ask)
  channel.onmessage = onMessage
  locks.request(`${name} ${self}`, untilLeft).catch(() => undefined)
  queue()
  tellWanted()

  return {
    get serves() {
      return leader !== undefined && members.size > 0
    },
    sync() {
      const now = JSON.stringify(user.wanted())
      if (leader) leader.sync()
      else if (now !== wanted) tellWanted()
      wanted = now
    },
    leave() {
      post({ kind: 'want', from: self, patterns: [] })
      left.abort()
      queued.abort()
      clearInterval(timer)
      leader?.stop()
      channel.close()
    },
  }
}
