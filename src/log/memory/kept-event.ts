/** An event in memory, with its size. */
import type { NewEvent, StoredEvent } from '../../model/event.js'
import { idSize } from './publisher-ids.js'

export interface KeptEvent extends StoredEvent {
  /**
   * The size of the event in the heap, in bytes. It is stored: computing it again would fetch the payload from memory.
   */
  readonly size: number
}

/** The bytes of an event besides its strings: the object, and its slots in two queues. */
const EVENT_OVERHEAD = 176
/** The bytes of a string besides its characters: its header and the rounding up to the next multiple of eight. */
const STRING_OVERHEAD = 20

/** @param topic the same string for all events of the topic, which saves memory */
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
 * V8 stores a string with two bytes per character if any of its characters is beyond Latin-1. V8 does not scan a string
 * with one byte per character for this pattern, since it cannot match.
 */
function sizeOfString(text: string): number {
  return STRING_OVERHEAD + (/[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length)
}
