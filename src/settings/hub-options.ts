import { natsServersOf } from '../log/address.js'
import { defaultRetainBytes } from '../log/open.js'
import type { Settings } from './list.js'

/** The part of the log that all finite topics may take. The others are trimmed first. */
const FINITE_PART = 1 / 2

/** Returns the settings that are options of a `Hub`, under the names that the hub has for them. */
export function hubOptions({
  heartbeat,
  maxConnectionAge,
  maxEventSize,
  presenceGrace,
  maxCursorsPerSubject,
  cursorTtl,
  streamTtl,
  maxStreamSize,
  maxTopics,
  retainBytes,
  retainAge,
  log,
}: Settings) {
  return {
    heartbeat,
    maxAge: maxConnectionAge,
    maxEventSize,
    presenceGrace,
    maxCursorsPerSubject,
    cursorTtl,
    streamTtl,
    maxStreamSize,
    maxTopics,
    // JetStream removes every event by its age
    longestStreamTtl: natsServersOf(log) ? retainAge : Infinity,
    streamRoom: FINITE_PART * (retainBytes || defaultRetainBytes(log)),
  }
}
