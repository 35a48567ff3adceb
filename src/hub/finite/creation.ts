/** Creates finite topics and forks. Of processes that create the same topic at the same time, one succeeds. */
import { setTimeout as delay } from 'node:timers/promises'
import type { EventLog } from '../../log/log.js'
import { wallNow } from '../../model/clock.js'
import { HubError } from '../../model/hub-error.js'
import { isMediaType, MAX_MEDIA_TYPE, normalize } from '../../model/media-type.js'
import { quote } from '../../model/quote.js'
import type { TraceContext } from '../../model/trace-context.js'
import type { Request } from './admission.js'
import type { Entry } from './entry.js'
import { drawIncarnation, keyOf, printConfig, type FiniteRecord, type WantedConfig } from './finite-record.js'
import { FiniteTopicError, type EndStatus, type FiniteTopic, type Message } from './finite-topic.js'
import { resolveFork, type ForkSource, type ResolvedFork } from './fork.js'
import type { Lifetimes } from './lifetimes.js'
import type { Removal } from './removal.js'

/** The content type of a topic whose creator names none (RFC 9110, 8.3). */
const DEFAULT_CONTENT_TYPE = 'application/octet-stream'
/** How long the creation by another process may take until its events are stored, in milliseconds. */
const PENDING = 2_000
const PENDING_CHECK = 20
const LONGEST = 8.64e15

export interface CreateOptions {
  messages?: readonly Message[]
  end?: 'done' | 'error' | undefined
  createdBy?: string | undefined
  /** As in `AppendRequest`. */
  lease?: number | undefined
  trace?: TraceContext | undefined
}

export interface CreationSource extends ForkSource {
  log: EventLog
  known: (topic: string) => Entry | undefined
  load: (entry: Entry) => Promise<void>
  catchUp: () => Promise<void>
  append: (entry: Entry, request: Request) => Promise<unknown>
  requireRoom: (topic: string) => void
  /** The longest time to live, in milliseconds. */
  longestTtl: number
  lifetimes: Lifetimes
  removal: Removal
}

export class Creation {
  readonly #source: CreationSource

  constructor(source: CreationSource) {
    this.#source = source
  }

  /** As `FiniteTopics.create`. */
  async create(
    topic: string,
    wanted: WantedConfig,
    options: CreateOptions,
  ): Promise<{ topic: FiniteTopic; created: boolean }> {
    requireConfig(wanted)
    const { contentType } = wanted
    const config = { ...wanted, contentType: contentType && normalize(contentType) }
    this.#requireTtl(config)
    const asked = printConfig(config)
    for (;;) {
      const existing = await this.#existing(topic)
      if (existing) return { topic: requireSame(existing, asked, options.end), created: false }
      const { log, requireRoom } = this.#source
      requireRoom(topic)
      if ((await log.topic(topic))?.events)
        throw new FiniteTopicError(
          'stream-exists',
          `${quote(topic)} has events that were published to it. Purge the topic first, or use another name.`,
        )
      const fork = config.fork && (await resolveFork(this.#source, config, config.fork))
      const messages = [...(fork?.messages ?? []), ...(options.messages ?? [])]
      const record = this.#record({
        config,
        fork,
        asked,
        options,
        initial: messages.length > 0 || Boolean(options.end),
      })
      if (!(await log.records.swap(keyOf(topic), undefined, record))) {
        await this.#source.catchUp()
        continue
      }
      return { topic: await this.#complete(topic, record, messages, options), created: true }
    }
  }

  /** @throws HubError `invalid-stream` if the log would lose the topic before it expires */
  #requireTtl({ ttl = 0, expiresAt = 0 }: WantedConfig): void {
    const { longestTtl } = this.#source
    if (ttl <= longestTtl && expiresAt - wallNow() <= longestTtl) return
    throw invalid(
      `The log keeps events for ${longestTtl} ms (FANFARE_RETAIN_AGE), and a topic cannot live longer than that.`,
    )
  }

  #record(wanted: {
    config: WantedConfig
    fork: ResolvedFork | undefined
    asked: string
    options: CreateOptions
    initial: boolean
  }): FiniteRecord {
    const { config, fork, asked, options, initial } = wanted
    const { view } = this.#source.log
    const createdAt = wallNow()
    const { lease } = options
    const expires = config.ttl === undefined && config.expiresAt === undefined ? fork?.inherited : config
    const record: FiniteRecord = {
      epoch: view.epoch,
      incarnation: drawIncarnation(),
      base: view.head,
      createdAt,
      createdBy: options.createdBy,
      contentType: config.contentType ?? fork?.inherited.contentType ?? DEFAULT_CONTENT_TYPE,
      ttl: expires?.ttl,
      expiresAt: expires?.expiresAt,
      coalesce: config.coalesce,
      fork: fork?.stored,
      asked,
      initial: initial || undefined,
      touch: lease === undefined ? undefined : { time: createdAt, lease },
    }
    return JSON.parse(JSON.stringify(record)) as FiniteRecord // without undefined members, as it is stored
  }

  /** Stores the first events of a new topic. */
  async #complete(
    topic: string,
    record: FiniteRecord,
    messages: readonly Message[],
    { end, trace }: CreateOptions,
  ): Promise<FiniteTopic> {
    const { known, load, append, catchUp, removal } = this.#source
    await catchUp()
    const entry = known(topic)
    if (entry?.record.incarnation !== record.incarnation)
      throw new HubError('unavailable', `${quote(topic)} was deleted while it was created. Try again.`)
    await load(entry)
    try {
      if (record.fork) this.#requireSource(record.fork)
      if (record.initial) await append(entry, { messages, end, trace })
    } catch (err) {
      await removal.remove(entry, 'cancelled')
      throw err
    }
    return entry.describe()
  }

  /** A fork counts once its record is stored. Its source may have been deleted just before. */
  #requireSource({ source, incarnation }: NonNullable<FiniteRecord['fork']>): void {
    const entry = this.#source.known(source)
    if (entry?.record.incarnation === incarnation && !entry.record.deleted) return
    throw new FiniteTopicError('fork-source-gone', `The source ${quote(source)} was deleted while it was forked.`)
  }

  /** Finds an existing topic. Completes the removal of one that is deleted or has expired. */
  async #existing(topic: string): Promise<Entry | undefined> {
    const { find, known, load, removal } = this.#source
    for (let waited = 0; ; waited += PENDING_CHECK) {
      const found = await find(topic)
      if (found) return found
      const entry = known(topic)
      if (!entry) return undefined
      await load(entry)
      if (entry.isPending && !entry.record.deleted && waited < PENDING) await delay(PENDING_CHECK)
      else await removal.remove(entry, 'expired')
    }
  }
}

/**
 * Returns the state of an existing topic, if a creation would have made the same one.
 * @throws FiniteTopicError `stream-exists`
 */
function requireSame(entry: Entry, asked: string, end: EndStatus | undefined): FiniteTopic {
  const topic = entry.describe()
  const isSame = entry.record.asked === asked && (topic.status === 'open') === (end === undefined)
  if (isSame && !topic.isDeleted) return topic
  const what = topic.isDeleted
    ? 'was deleted, and its name is taken until its forks are deleted'
    : `exists with another configuration or state: ${topic.contentType}, ${topic.status}`
  throw new FiniteTopicError('stream-exists', `${quote(entry.topic)} ${what}.`, { topic })
}

/** @throws HubError `invalid-stream` */
function requireConfig({ contentType, ttl, expiresAt, coalesce, fork }: WantedConfig): void {
  if (contentType !== undefined && !isMediaType(contentType))
    throw invalid(`The content type has 1 to ${MAX_MEDIA_TYPE} printable ASCII characters, not ${quote(contentType)}.`)
  requireTime('ttl', ttl)
  requireTime('expiresAt', expiresAt)
  requireTime('coalesce', coalesce)
  if (ttl !== undefined && expiresAt !== undefined) throw invalid('A topic has a ttl or an expiresAt, not both.')
  if (fork?.sub !== undefined && !(Number.isSafeInteger(fork.sub) && fork.sub >= 0))
    throw new HubError(
      'invalid-offset',
      `The sub-offset of a fork is a whole number from 0 on, not ${quote(fork.sub)}.`,
    )
}

function requireTime(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value >= 0 && value <= LONGEST)) return
  throw invalid(`${name} is a number of milliseconds from 0 on, not ${quote(value)}.`)
}

function invalid(message: string): HubError {
  return new HubError('invalid-stream', message)
}
