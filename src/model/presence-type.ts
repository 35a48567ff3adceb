/** The types of the events by which the hub tells who is present on a topic. */

export type PresenceType = 'fanfare.join' | 'fanfare.leave'

/** Whether an event of this type tells who came or went. */
export function isPresenceType(type: string | undefined): type is PresenceType {
  return type === 'fanfare.join' || type === 'fanfare.leave'
}
