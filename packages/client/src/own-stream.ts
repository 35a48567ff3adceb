/**
 * The own stream of a subscription whose position is behind the shared stream. It brings what the subscription lacks
 * (`subscription.ts` describes the change-over).
 */
import { reaches } from './cursor.js'
import type { Lane } from './lane.js'
import { GAP, OPEN, openReader, type HubBlock } from './reader.js'
import type { Subscription } from './subscription.js'
import type { Gap, HubEvent, HubState } from './types.js'

/** The maximum number of events that are held back. */
const MAX_HELD_BACK = 1_000

export interface OwnStream {
  readonly state: HubState
  /** Holds back an event of the shared stream. */
  hold(event: HubEvent): void
  /** The cursor of the shared stream was reset. */
  reset(cursor: string): void
  stop(): void
}

/** The subscription, as its own stream needs it. */
export interface OwnStreamUser extends Pick<
  Subscription,
  'patterns' | 'start' | 'take' | 'takeGap' | 'fail' | 'finish' | 'update'
> {
  /** Takes the cursor of a block that has been taken. Returns the position; `undefined`: the subscription has left. */
  reached(id: string | undefined): string | undefined
  /** Takes the shared stream as the source, and the events of it that were held back. */
  changeOver(heldBack: readonly HubEvent[]): void
}

export function openOwnStream({ http, query, cursor }: Lane, user: OwnStreamUser): OwnStream {
  let mark = cursor
  let heldBack: HubEvent[] = []
  let state: HubState = { status: 'connecting' }

  function onBlock({ name, id, content }: HubBlock): void {
    if (name === undefined) user.take(content as HubEvent, true)
    else if (name === GAP) user.takeGap(content as Gap, id, true)
    const position = user.reached(id)
    if (name === OPEN || state.status !== 'live' || !reaches(position, mark)) return
    reader.stop()
    user.changeOver(heldBack)
  }

  const reader = openReader(http, {
    query: () => ({ ...query, topic: user.patterns, ...user.start() }),
    onBlock,
    onState(now) {
      state = now
      user.update()
    },
    onOver: (error) => (error ? user.fail(error) : user.finish()),
  })

  /** Moves the mark: events up to there have to come from this stream. */
  function moveMark(to: string): void {
    mark = to
    heldBack = []
  }

  return {
    get state() {
      return state
    },
    hold(event) {
      if (event.id !== null && heldBack.push(event) > MAX_HELD_BACK) moveMark(event.id)
    },
    reset: moveMark,
    stop: () => reader.stop(),
  }
}
