/** The messages of a device. The hub does not send acknowledged messages again, so the device keeps them. */
import type { Message } from './server.js'

/** A message with the id of its event. */
export type Kept = Message & { id: string }

/** The maximum number of messages, as the hub keeps of a topic (`FANFARE_RETAIN_EVENTS`). Older ones are removed. */
const MOST = 1_000

/** Opens the messages of a user's device in this browser's storage. */
export function openShelf(user: string, device: string) {
  const key = `inbox/${user}/${device}`
  const messages = JSON.parse(localStorage.getItem(key) ?? '[]') as Kept[]
  return {
    /** Oldest first. */
    messages,
    /** Stores a message. Returns `false` if it is stored already: until it is acknowledged, it may come again. */
    put(message: Kept): boolean {
      if (messages.some(({ id }) => id === message.id)) return false
      messages.push(message)
      if (messages.length > MOST) messages.shift()
      localStorage.setItem(key, JSON.stringify(messages))
      return true
    },
  }
}
