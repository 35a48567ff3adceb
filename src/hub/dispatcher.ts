/** Makes a frame of each event and gives it to the fan-out. */
import { wallNow } from '../model/clock.js'
import type { NewEvent, StoredEvent } from '../model/event.js'
import type { Encoder } from '../wire/sse.js'
import type { Fanout } from './fanout.js'
import { Frame } from './frame.js'

export class Dispatcher {
  readonly #encoder: Encoder
  readonly #fanout: Fanout
  readonly #node: string
  #head = 0
  /** The number of frames so far. */
  #frames = 0

  /** @param node as `Cluster.node`: it makes the ids of ephemeral events unique in the epoch of the log */
  constructor(encoder: Encoder, fanout: Fanout, node: string) {
    this.#encoder = encoder
    this.#fanout = fanout
    this.#node = node
  }

  /** Sets the sequence before the first event. Later calls may bring events that have already been dispatched. */
  begin(head: number): void {
    this.#head = Math.max(this.#head, head)
  }

  /** The newest sequence that the fan-out has been given. */
  get head(): number {
    return this.#head
  }

  /** Dispatches an event of the log. */
  dispatch(event: StoredEvent): void {
    this.#head = event.sequence
    this.#fanout.dispatch(new Frame(this.#encoder, event, event.sequence, ++this.#frames, event.time))
  }

  /** Dispatches an ephemeral event. */
  dispatchEphemeral(event: NewEvent): void {
    const order = ++this.#frames
    const id = `${this.#encoder.cursor(this.#head)}-ephemeral-${this.#node}-${order}`
    this.#fanout.dispatch(new Frame(this.#encoder, event, undefined, order, wallNow(), id))
  }

  /** Dispatches an ephemeral event of the hub itself, with `data` as JSON. */
  tell(topic: string, data: object, type?: string): void {
    this.dispatchEphemeral({ topic, type, id: undefined, kind: 'json', payload: JSON.stringify(data) })
  }
}
