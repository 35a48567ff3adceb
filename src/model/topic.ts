/**
 * Topics and patterns. A topic is 1 to 16 segments joined by `.`; a pattern is a topic in which a whole segment may be
 * `*` (exactly one segment) and the last may be `**` (one or more segments).
 */

import { HubError } from './hub-error.js'
import { quote } from './quote.js'

const SEGMENT = '[A-Za-z0-9_~:@-]{1,64}'
const MAX_LENGTH = 200
const RESERVED = 'fanfare'

/** The syntax of a topic, as the source of a regular expression. Its length has a separate limit. */
export const TOPIC_SYNTAX = `^${SEGMENT}(?:\\.${SEGMENT}){0,15}$`
/** The syntax of a pattern, as the source of a regular expression. Its length has a separate limit. */
export const PATTERN_SYNTAX = `^(?:\\*\\*|(?:\\*|${SEGMENT})(?:\\.(?:\\*|${SEGMENT})){0,14}(?:\\.(?:\\*\\*|\\*|${SEGMENT}))?)$`
/** The maximum length of a topic or a pattern, in characters. */
export const TOPIC_MAX_LENGTH = MAX_LENGTH

const topicSyntax = new RegExp(TOPIC_SYNTAX)
const patternSyntax = new RegExp(PATTERN_SYNTAX)
const segmentSyntax = new RegExp(`^${SEGMENT}$`)

declare const isChecked: unique symbol
/** A topic that `requireTopic` has accepted. */
export type EventTopic = string & { readonly [isChecked]: true }

/** Whether `text` is a topic. */
export function isTopic(text: unknown): text is string {
  return typeof text === 'string' && text.length <= MAX_LENGTH && topicSyntax.test(text)
}

/** Whether `text` is a pattern. Every topic is a pattern. */
export function isPattern(text: string): boolean {
  return text.length <= MAX_LENGTH && patternSyntax.test(text)
}

/** Whether a pattern has no wildcard, and so matches exactly one topic. */
export function isExact(pattern: string): boolean {
  return !pattern.includes('*')
}

/** Whether the first segment of a topic or pattern is `fanfare`. No wildcard matches these topics. */
export function isReserved(pattern: string): boolean {
  return pattern.startsWith(RESERVED) && (pattern.length === RESERVED.length || pattern[RESERVED.length] === '.')
}

/** Whether a pattern matches a topic. */
export function matches(pattern: string, topic: string): boolean {
  return covers(pattern, topic)
}

/** Whether `grant` matches every topic that `asked` (a topic or pattern) matches. */
export function covers(grant: string, asked: string): boolean {
  if (grant === asked) return true
  if (isReserved(asked) && !isReserved(grant)) return false
  for (let granted = 0, wanted = 0; ;) {
    // compares in place, without splitting: a request may have a hundred patterns and thousands of grants
    const grantedEnd = endOfSegment(grant, granted)
    const wantedEnd = endOfSegment(asked, wanted)
    if (grantedEnd - granted === 2 && grant.startsWith('**', granted)) return true
    if (wantedEnd - wanted === 2 && asked.startsWith('**', wanted)) return false
    const isAny = grantedEnd - granted === 1 && grant[granted] === '*'
    if (!isAny && !isSame(grant, granted, grantedEnd, asked, wanted, wantedEnd)) return false
    if (grantedEnd === grant.length || wantedEnd === asked.length)
      return grantedEnd === grant.length && wantedEnd === asked.length
    granted = grantedEnd + 1
    wanted = wantedEnd + 1
  }
}

function endOfSegment(pattern: string, start: number): number {
  const end = pattern.indexOf('.', start)
  return end === -1 ? pattern.length : end
}

function isSame(a: string, aStart: number, aEnd: number, b: string, bStart: number, bEnd: number): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false
  for (let i = 0; i < aEnd - aStart; i++) if (a.charCodeAt(aStart + i) !== b.charCodeAt(bStart + i)) return false
  return true
}

/**
 * Replaces `{sub}` as a whole segment of a grant by the token's subject.
 * @returns the pattern; `undefined` if the result is not a pattern, or if the subject is missing or is not a single
 *   segment (a dot or a star in it would widen the grant)
 */
export function resolveGrant(grant: string, sub: string | undefined): string | undefined {
  let pattern = grant
  if (grant.includes('{sub}')) {
    if (sub === undefined || !segmentSyntax.test(sub)) return undefined
    pattern = grant
      .split('.')
      .map((segment) => (segment === '{sub}' ? sub : segment))
      .join('.')
  }
  return isPattern(pattern) ? pattern : undefined
}

/**
 * Checks the name of a topic.
 * @throws HubError `invalid-topic`
 */
export function requireTopicName(topic: string): void {
  if (isTopic(topic)) return
  throw new HubError(
    'invalid-topic',
    `${quote(topic)} is not a valid topic: 1 to 16 segments joined by ".", each 1 to 64 of A-Z a-z 0-9 _ ~ : @ -, 200 characters at most.`,
  )
}

/**
 * Checks that a topic accepts published events.
 * @throws HubError `invalid-topic`, or `reserved-topic` for the system topics
 */
export function requireTopic(topic: string): asserts topic is EventTopic {
  requireTopicName(topic)
  if (isReserved(topic))
    throw new HubError('reserved-topic', `${quote(topic)} is a system topic: only the hub itself publishes to it.`)
}

/**
 * Checks a topic or pattern of a subscription.
 * @throws HubError `invalid-pattern`
 */
export function requirePattern(pattern: string): void {
  if (isPattern(pattern)) return
  throw new HubError(
    'invalid-pattern',
    `${quote(pattern)} is not a valid topic or pattern: 1 to 16 segments joined by ".", each 1 to 64 of A-Z a-z 0-9 _ ~ : @ -, or "*", and the last may be "**"; 200 characters at most.`,
  )
}
