/** Makes a frame of each event and gives it to the fan-out. */
import { wallNow } from '../model/clock.js'
import { drawEpoch } from '../model/cursor.js'
import type { NewEvent, StoredEvent } from '../model/event.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'
import { Frame } from './frame.js'

export class Dispatcher {
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  /** Drawn anew in each process, so that the ids of ephemeral events are unique in the log's epoch. */
  readonly #origin = drawEpoch()
  #head = 0
  /** How many frames there have been. */
  #frames = 0

  constructor(encoder: Encoder, fanout: Fanout) {
    this.#encoder = encoder
    this.#fanout = fanout
  }

  /** Says behind which sequence the events begin. Some of them may have been dispatched already. */
  begin(head: number): void {
    this.#head = Math.max(this.#head, head)
  }

  /** The newest sequence that the fan-out has been given. */
  get head(): number {
    return this.#head
  }

  /** Sends an event of the log. */
  dispatch(event: StoredEvent): void {
    this.#head = event.sequence
    this.#fanout.dispatch(new Frame(this.#encoder, event, event.sequence, ++this.#frames, event.time))
  }

  /** Sends an event that is not stored. */
  dispatchEphemeral(event: NewEvent): void {
    const order = ++this.#frames
    const id = `${this.#encoder.cursor(this.#head)}-ephemeral-${this.#origin}-${order}`
    this.#fanout.dispatch(new Frame(this.#encoder, event, undefined, order, wallNow(), id))
  }

  /** Sends an event of the hub's own, with `data` as JSON. It is not stored. */
  tell(topic: string, data: object, type?: string): void {
    this.dispatchEphemeral({ topic, type, id: undefined, kind: 'json', payload: JSON.stringify(data) })
  }
}
