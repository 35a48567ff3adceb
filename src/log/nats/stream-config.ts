/** The streams on JetStream: one for the events, and one for the records. */
import { createHash } from 'node:crypto'
import type { Retention } from '../log.js'
import {
  JetStreamError,
  STREAM_EXISTS,
  STREAM_NOT_FOUND,
  type JetStream,
  type StreamConfig,
  type StreamInfo,
} from './jetstream.js'

/**
 * The number of events of a topic that the stream keeps beyond the retained ones. A message that JetStream trims before
 * it has been delivered is lost to live subscribers, and one batch may have 1,000 events of a topic.
 */
export const SPARE_EVENTS = 1_000
/** The number of bytes that the stream keeps beyond the retained ones, for the same reason. */
export const SPARE_BYTES = 64 * 1024 * 1024

const MILLISECOND = 1e6
/** The shortest maximum age and window of message ids that JetStream allows, in milliseconds. */
const SHORTEST = 100

/** Returns the time for which JetStream remembers publisher ids, in milliseconds: never longer than the events. */
export function windowOf({ dedupWindow, age }: Retention): number {
  return Math.max(SHORTEST, Math.min(dedupWindow, Math.max(age, SHORTEST)))
}

export function eventStream(prefix: string, retention: Retention, replicas: number): StreamConfig {
  return {
    name: prefix,
    subjects: [`${prefix}.t.>`],
    storage: 'file',
    retention: 'limits',
    discard: 'old',
    num_replicas: replicas,
    max_msgs_per_subject: retention.events + SPARE_EVENTS,
    max_age: nanoseconds(Math.max(retention.age, SHORTEST)),
    max_bytes: retention.bytes + SPARE_BYTES,
    duplicate_window: nanoseconds(windowOf(retention)),
    allow_direct: true,
    allow_atomic: true,
  }
}

/** Returns the settings of the stream of records. It is a key-value bucket, which `nats kv` can read. */
export function recordStream(prefix: string, replicas: number): StreamConfig {
  const bucket = `${prefix}-records`
  return {
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    storage: 'file',
    retention: 'limits',
    discard: 'new',
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    max_age: 0,
    max_bytes: -1,
    duplicate_window: nanoseconds(SHORTEST),
    allow_direct: true,
    allow_msg_ttl: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  }
}

function nanoseconds(milliseconds: number): number {
  // JSON rounds a larger number, and the rounded number would look like another setting
  return Math.min(Math.round(milliseconds) * MILLISECOND, 9e18)
}

/**
 * Finds a stream, or creates it.
 * @returns its state, and its settings that differ from the wanted ones
 */
export async function provideStream(
  jetstream: JetStream,
  wanted: StreamConfig,
): Promise<{ info: StreamInfo; differences: string[] }> {
  const info = await findOrCreate(jetstream, wanted)
  return { info, differences: differencesOf(wanted, info.config) }
}

async function findOrCreate(jetstream: JetStream, wanted: StreamConfig): Promise<StreamInfo> {
  try {
    return await jetstream.streamInfo(wanted.name)
  } catch (err) {
    if (!(err instanceof JetStreamError) || err.code !== STREAM_NOT_FOUND) throw err
  }
  try {
    return await jetstream.createStream(wanted)
  } catch (err) {
    if (!(err instanceof JetStreamError) || err.code !== STREAM_EXISTS) throw err
    return jetstream.streamInfo(wanted.name) // another process has created it, with other settings
  }
}

function differencesOf(wanted: StreamConfig, config: Partial<StreamConfig>): string[] {
  return (Object.keys(wanted) as (keyof StreamConfig)[])
    .filter((name) => JSON.stringify(config[name] ?? false) !== JSON.stringify(wanted[name] ?? false))
    .map((name) => `${name} is ${JSON.stringify(config[name] ?? false)}, not ${JSON.stringify(wanted[name])}`)
}

const EPOCH_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
const EPOCH_LENGTH = 8

/** The entry of the stream's metadata that counts how often the stream has lost its newest events. */
const GENERATION = 'fanfare-generation'

/** Gives a stream that has lost its newest events another epoch: it will use their sequences again. */
export async function beginGeneration(jetstream: JetStream, { config }: StreamInfo): Promise<void> {
  const generation = String(Number(config.metadata?.[GENERATION] ?? 0) + 1)
  await jetstream.updateStream({ ...config, metadata: { ...config.metadata, [GENERATION]: generation } })
}

/** Returns the epoch of a stream. A stream that is created again has another epoch. */
export function epochOf({ config, created }: StreamInfo): string {
  const hash = createHash('sha256')
    .update(`${config.name ?? ''} ${created} ${config.metadata?.[GENERATION] ?? ''}`)
    .digest()
  return Array.from(hash.subarray(0, EPOCH_LENGTH), (byte) => EPOCH_ALPHABET[byte % EPOCH_ALPHABET.length]).join('')
}
