/** The paths of finite topics below `/streams`, by the hub's rules: `chats.42.r7` has the path `chats/42/r7`. */

/** Escaped bytes in a segment of a topic: `~` and two hexadecimal digits for each. */
const ESCAPES = /(?:~[0-9A-F]{2})+/g

/** Returns the path of a topic, percent-encoded. */
export function pathOfTopic(topic: string): string {
  return topic
    .split('.')
    .map((segment) => segment.replace(ESCAPES, (escapes) => escapes.replaceAll('~', '%')))
    .map((segment) => segment.replaceAll(/~(?=[0-9A-F]{2})/g, '%7E'))
    .join('/')
}

/**
 * Returns the path of the finite topic that stands for a name of any characters.
 * @param prefix the topic above
 * @throws TypeError for a name that no URL can have as a segment, and for `cancel`, which cancels the topic above
 */
export function pathOfName(prefix: string, name: string): string {
  if (/^(?:|\.|\.\.|cancel)$/.test(name)) throw new TypeError(`"${name}" cannot be the name of a finite topic.`)
  return `${pathOfTopic(prefix)}/${encodeURIComponent(name)}`
}
