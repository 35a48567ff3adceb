import type { Settings } from './list.js'

/** Returns the settings that are options of a `Hub`, under the names that the hub has for them. */
export function hubOptions({
  heartbeat,
  maxConnectionAge,
  maxEventSize,
  presenceGrace,
  maxCursorsPerSubject,
  cursorTtl,
}: Settings) {
  return { heartbeat, maxAge: maxConnectionAge, maxEventSize, presenceGrace, maxCursorsPerSubject, cursorTtl }
}
