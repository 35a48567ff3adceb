/** The tab that has the stream, and passes on every block. */
import { HubError } from '../errors.js'
import type { Http } from '../http.js'
import { OPEN, type HubBlock } from '../reader.js'
import { createSharedStream, type SharedStream, type StreamUser } from '../shared-stream.js'
import type { HubState } from '../types.js'
import { refusalOf, type Message, type News } from './messages.js'

export interface Leader extends SharedStream {
  /** Tells the followers where the stream is. */
  answer(): void
}

/**
 * @param members the topics and patterns of the other tabs
 * @param post sends a message to the other tabs
 */
export function createLeader(
  http: Http,
  user: StreamUser,
  term: string,
  members: Map<string, string[]>,
  post: (message: Message) => void,
): Leader {
  let n = 0
  let state: HubState = { status: 'connecting' }
  let opening: HubBlock | undefined
  let isOver = false

  /** Tells the others first: a handler of this tab may take long. */
  function pass(news: News): boolean {
    if (isOver) return false
    post({ ...news, term, n: ++n })
    return true
  }

  function forget(patterns: readonly string[]): void {
    for (const [member, theirs] of members)
      members.set(
        member,
        theirs.filter((pattern) => !patterns.includes(pattern)),
      )
  }

  const stream = createSharedStream(http, {
    query: user.query,
    held: user.held,
    state,
    get cursor() {
      return user.cursor
    },
    wanted: () => [...new Set([user.wanted(), ...members.values()].flat())],
    start: () => (members.size === 0 ? user.start() : undefined),
    onBlock(block) {
      if (block.name === OPEN) opening = block
      if (pass({ kind: 'block', block })) user.onBlock(block)
    },
    onState(now) {
      const { error, ...rest } = (state = now)
      if (now.status === 'closed') opening = undefined
      state = rest
      if (pass({ kind: 'state', state, refusal: error instanceof HubError ? refusalOf(error) : undefined }))
        user.onState(now)
    },
    onRefused(patterns, error) {
      forget(patterns)
      if (pass({ kind: 'refused', patterns, refusal: refusalOf(error) })) user.onRefused(patterns, error)
    },
    onComplete(patterns) {
      forget(patterns)
      if (pass({ kind: 'complete', patterns })) user.onComplete(patterns)
    },
  })

  return {
    answer: () =>
      post({ kind: 'at', term, n, state, opening: opening && { ...opening, ...(user.cursor && { id: user.cursor }) } }),
    sync: stream.sync,
    stop() {
      isOver = true
      stream.stop()
    },
  }
}
