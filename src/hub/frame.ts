/** An event on its way to subscribers, encoded at most once for each wire variant. */
import type { Chunk } from '../wire/chunk.js'
import type { NewEvent } from '../model/event.js'
import type { Encoder, Wire } from '../wire/sse.js'

export class Frame {
  readonly event: NewEvent
  /** The event's sequence in the log; `undefined`: the event is ephemeral. */
  readonly sequence: number | undefined
  /** The frame's number among all frames of the hub. */
  readonly order: number
  readonly #time: number
  readonly #id: string | undefined
  readonly #encoder: Encoder
  #raw: Chunk | undefined
  #rawWithTopic: Chunk | undefined
  #json: Chunk | undefined
  #jsonWithTopic: Chunk | undefined
  #cloud: Chunk | undefined
  #cloudWithTopic: Chunk | undefined

  /**
   * @param time the time of the publish, in milliseconds since the Unix epoch
   * @param id the CloudEvents id of an ephemeral event; a stored event has its cursor as id
   */
  constructor(
    encoder: Encoder,
    event: NewEvent,
    sequence: number | undefined,
    order: number,
    time: number,
    id?: string,
  ) {
    this.#encoder = encoder
    this.event = event
    this.sequence = sequence
    this.order = order
    this.#time = time
    this.#id = id
  }

  /** Returns the block of the event: one chunk for all streams with this wire variant. */
  chunk(wire: Wire): Chunk {
    switch (wire.format) {
      case 'raw':
        return wire.topicLine ? (this.#rawWithTopic ??= this.#encode(wire)) : (this.#raw ??= this.#encode(wire))
      case 'json':
        return wire.topicLine ? (this.#jsonWithTopic ??= this.#encode(wire)) : (this.#json ??= this.#encode(wire))
      case 'cloudevents':
        return wire.topicLine ? (this.#cloudWithTopic ??= this.#encode(wire)) : (this.#cloud ??= this.#encode(wire))
    }
  }

  #encode(wire: Wire): Chunk {
    // printed only when needed: most events of a large hub have no live subscriber
    const id = this.#id ?? this.#encoder.cursor(this.sequence!)
    return this.#encoder.event(this.event, wire, this.sequence, this.#time, id)
  }
}
