import { toKept, type KeptEvent } from '../../src/log/memory/kept-event.js'

/** An event as the memory log stores it. */
export function keptEvent(sequence: number, topic = 'a'): KeptEvent {
  return toKept(sequence, 0, topic, { topic, type: undefined, id: undefined, kind: 'json', payload: '' })
}
