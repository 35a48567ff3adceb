/** The types of presence events. */

export type PresenceType = 'fanfare.join' | 'fanfare.leave'

/** Whether a type is that of a presence event. */
export function isPresenceType(type: string | undefined): type is PresenceType {
  return type === 'fanfare.join' || type === 'fanfare.leave'
}
