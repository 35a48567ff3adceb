/** The record of a finite topic: what its creator has decided. It is created once, and says whether it was deleted. */
import { randomBytes } from 'node:crypto'
import { FINITE_PREFIX } from '../../log/log.js'
import { isBoolean, isNumber, isString, isTime, optional, shapeOf } from '../../model/shape.js'
import type { FiniteConfig } from './finite-topic.js'

/** The configuration of a creation. A fork inherits the content type and the expiry of its source. */
export type WantedConfig = Omit<FiniteConfig, 'contentType'> & { contentType?: string | undefined }

/** Where a fork begins. */
export interface StoredFork {
  source: string
  /** The incarnation of the source. */
  incarnation: string
  /** The newest inherited sequence. */
  offset: number
}

/** A sign of life of a topic that is no event. */
export interface Touch {
  /** In milliseconds since the Unix epoch. */
  time: number
  /** The lease of the writer, if it has renewed it without a message. */
  lease?: number | undefined
}

export interface FiniteRecord {
  /** The epoch of the log. After another epoch has begun, the topic no longer exists. */
  epoch: string
  incarnation: string
  /** The head of the log at the creation. */
  base: number
  createdAt: number
  createdBy?: string | undefined
  contentType: string
  ttl?: number | undefined
  expiresAt?: number | undefined
  coalesce?: number | undefined
  fork?: StoredFork | undefined
  /** The configuration as it was asked for, as JSON: a creation that repeats it finds the topic. */
  asked: string
  /** Whether the creation includes events. Until they are stored, the topic does not exist. */
  initial?: boolean | undefined
  touch?: Touch | undefined
  /** Whether it was deleted. It stays while it has forks. */
  deleted?: boolean | undefined
}

export const isFiniteRecord = shapeOf<FiniteRecord>({
  epoch: isString,
  incarnation: isString,
  base: isNumber,
  createdAt: isTime,
  createdBy: optional(isString),
  contentType: isString,
  ttl: optional(isNumber),
  expiresAt: optional(isTime),
  coalesce: optional(isNumber),
  fork: optional(shapeOf<StoredFork>({ source: isString, incarnation: isString, offset: isNumber })),
  asked: isString,
  initial: optional(isBoolean),
  touch: optional(shapeOf<Touch>({ time: isTime, lease: optional(isNumber) })),
  deleted: optional(isBoolean),
})

export function keyOf(topic: string): string {
  return FINITE_PREFIX + topic
}

export function topicOf(key: string): string {
  return key.slice(FINITE_PREFIX.length)
}

const INCARNATION = { alphabet: 'abcdefghijklmnopqrstuvwxyz0123456789', length: 12 }

/** Draws the incarnation of a new topic. */
export function drawIncarnation(): string {
  const { alphabet, length } = INCARNATION
  return Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('')
}

/** Returns a configuration as it is compared with that of a later creation. */
export function printConfig({ contentType, ttl, expiresAt, coalesce, fork }: WantedConfig): string {
  return JSON.stringify([contentType, ttl, expiresAt, coalesce, fork && [fork.source, fork.offset, fork.sub ?? 0]])
}
