/**
 * Maps the path of a finite topic below `/streams` to its topic: `chats/42/r7` is the topic `chats.42.r7`. A character
 * that a segment of a topic cannot have becomes `~` and two hexadecimal digits for each byte of its UTF-8, so different
 * paths have different topics.
 */
import { HubError } from './hub-error.js'
import { quote } from './quote.js'
import { requireTopic, type EventTopic } from './topic.js'

/** What a segment of a topic cannot have, and a `~` that would read as the start of an escape. */
const TO_ESCAPE = /~(?=[0-9A-F]{2})|[^A-Za-z0-9_~:@-]/gu
const ESCAPES = /(?:~[0-9A-F]{2})+/g

/**
 * Returns the topic of a path.
 * @param path percent-encoded as in a URL, without a slash at the start
 * @throws HubError `invalid-topic`, `reserved-topic`
 */
export function topicOfPath(path: string): EventTopic {
  const topic = path
    .split('/')
    .map((segment) => encodeSegment(decodeSegment(segment, path)))
    .join('.')
  requireTopic(topic)
  return topic
}

/**
 * Returns the path of a topic, percent-encoded.
 * @returns `undefined` if no path leads to the topic: it has a `~` with two hexadecimal digits that is no escape, or a
 *   segment that stands for `.` or `..`, which URLs cannot have
 */
export function pathOfTopic(topic: string): string | undefined {
  const path = topic
    .split('.')
    .map((segment) => encodeURIComponent(segment.replace(ESCAPES, readEscapes)))
    .join('/')
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return undefined
  return topicOfPath(path) === topic ? path : undefined
}

function decodeSegment(segment: string, path: string): string {
  if (segment === '') throw new HubError('invalid-topic', `The path ${quote(path)} has an empty segment.`)
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new HubError('invalid-topic', `The path ${quote(path)} is not percent-encoded UTF-8.`)
  }
}

function encodeSegment(text: string): string {
  return text.replace(TO_ESCAPE, (character) => {
    const hex = Buffer.from(character).toString('hex').toUpperCase()
    return hex.replace(/../g, '~$&')
  })
}

function readEscapes(escapes: string): string {
  return Buffer.from(escapes.replaceAll('~', ''), 'hex').toString()
}
