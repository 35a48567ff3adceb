/** Fetches the payloads of events that the index has. The stream may have lost some of them without a word. */
import type { ScannedEvent } from '../../model/event.js'
import { NO_EVENTS } from '../log.js'
import type { KeptEvent } from '../memory/kept-event.js'
import { unavailable, type Calls } from './calls.js'
import type { EventIndex } from './event-index.js'
import type { EventSource } from './event-source.js'
import type { StreamFollower } from './stream-follower.js'

export interface EventFetchOptions {
  calls: Pick<Calls, 'askAgain'>
  source: Pick<EventSource, 'read' | 'readFromLeader'>
  follower: Pick<StreamFollower, 'index' | 'settle' | 'tell'>
  /** Called with the sequence of each event that the stream has lost. */
  onLost: (sequence: number) => void
}

export class EventFetch {
  readonly #options: EventFetchOptions

  constructor(options: EventFetchOptions) {
    this.#options = options
  }

  /**
   * Returns the wanted events of an index; `undefined` for each that was trimmed meanwhile. Trims events from the index
   * that the stream no longer has.
   * @throws HubError `log-unavailable`, also if the index is no longer that of the log
   */
  events(index: EventIndex, wanted: readonly KeptEvent[]): Promise<(ScannedEvent | undefined)[]> {
    const { calls, source, follower } = this.#options
    return calls.askAgain(async () => {
      if (index !== follower.index) throw unavailable('The log was replaced while it was read.')
      const found = await source.read(wanted)
      const isMissing = (event: KeptEvent): boolean => !found.has(event.sequence) && index.has(event)
      if (wanted.some(isMissing)) await follower.settle()
      for (const event of wanted) {
        if (!isMissing(event)) continue
        const late = await source.readFromLeader(event) // the server that answered may lag behind
        if (late) found.set(event.sequence, late)
        else this.#lose(index, event)
      }
      return wanted.map(({ sequence }) => found.get(sequence))
    })
  }

  #lose(index: EventIndex, { topic, sequence }: KeptEvent): void {
    this.#options.onLost(sequence)
    index.trimTopic(topic, sequence, Infinity)
    this.#options.follower.tell(NO_EVENTS)
  }
}
