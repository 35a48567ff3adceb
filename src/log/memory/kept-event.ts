/** An event in memory, and what it takes there. */
import type { NewEvent, StoredEvent } from '../../model/event.js'
import { idSize } from './publisher-ids.js'

export interface KeptEvent extends StoredEvent {
  /**
   * What it takes in the heap, in bytes. It is kept, since to count it again its payload would have to be fetched from
   * memory.
   */
  readonly size: number
}

/** What an event takes beside its strings: the object, and its place in two queues. */
const EVENT_OVERHEAD = 176
/** What a string takes beside its characters, with what it is rounded up by. */
const STRING_OVERHEAD = 20

/** @param topic the name of the topic as its other events have it, so that there is one string */
export function toKept(
  sequence: number,
  time: number,
  topic: string,
  { type, id, attributes, kind, payload }: NewEvent,
): KeptEvent {
  const ofId = id === undefined ? 0 : id.length + idSize(topic, id)
  const ofAttributes = attributes === undefined ? 0 : sizeOfString(attributes)
  const ofType = type === undefined ? 0 : sizeOfString(type)
  const size = EVENT_OVERHEAD + sizeOfString(payload) + ofType + ofId + ofAttributes
  return { sequence, time, topic, type, id, attributes, kind, payload, size }
}

/**
 * V8 keeps a string with two bytes for each character as soon as one of them is beyond Latin-1. It knows without a look
 * at the characters that a string with one byte for each has none of these.
 */
function sizeOfString(text: string): number {
  return STRING_OVERHEAD + (/[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length)
}
