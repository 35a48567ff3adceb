/** A tab that takes the blocks of the leader as its stream. */
import type { StreamUser } from '../shared-stream.js'
import { errorOf, type At, type Lead, type Message, type News } from './messages.js'

export interface Follower {
  take(message: Exclude<Message, { kind: 'want' }>): void
  /** Follows the next leader that answers. */
  reset(): void
}

/** @param ask asks the leader where it is */
export function createFollower(user: StreamUser, ask: () => void): Follower {
  let term: string | undefined
  /** The number of the leader's last message; `undefined`: messages are missing. */
  let last: number | undefined

  function begin(message: Lead): void {
    term = message.term
    last = undefined
    ask()
  }

  function locate({ n, state, opening }: At): void {
    const isContinuous = last === n
    last = n
    user.onState(state)
    if (opening) user.onBlock(opening, isContinuous)
  }

  function follow(news: News): void {
    switch (news.kind) {
      case 'block':
        return user.onBlock(news.block)
      case 'state':
        return user.onState(news.refusal ? { ...news.state, error: errorOf(news.refusal) } : news.state)
      case 'refused':
        return user.onRefused(news.patterns, errorOf(news.refusal))
      case 'complete':
        return user.onComplete(news.patterns)
    }
  }

  return {
    take(message) {
      if (message.kind === 'lead') return begin(message)
      if (message.kind === 'at') term ??= message.term
      if (message.term !== term) return // of an earlier leader that does not know yet
      if (message.kind === 'at') return locate(message)
      if (last === undefined) return // the leader's answer is on its way
      if (message.n === last + 1) {
        last = message.n
        return follow(message)
      }
      last = undefined
      ask()
    },
    reset() {
      term = last = undefined
    },
  }
}
