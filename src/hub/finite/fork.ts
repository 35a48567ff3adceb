/** Finds where a fork begins (Durable Streams, 4.2). */
import type { EventLog } from '../../log/log.js'
import { quote } from '../../model/quote.js'
import type { Entry } from './entry.js'
import type { StoredFork, WantedConfig } from './finite-record.js'
import { FiniteTopicError, type FiniteTopic, type Fork, type Message, type ReadMessage } from './finite-topic.js'
import { bytesOf } from './fold.js'
import { readMessages, segmentsOf } from './messages.js'

export interface ForkSource {
  log: EventLog
  /** Finds a topic that exists, with its events. */
  find: (topic: string) => Promise<Entry | undefined>
  known: (topic: string) => Entry | undefined
}

export interface ResolvedFork {
  stored: StoredFork
  /** What the fork begins with: the part of a message that it inherits. */
  messages: Message[]
  /** The state of the source. */
  inherited: FiniteTopic
}

/** The bytes of messages that are read at once while the messages of a sub-offset are counted. */
const READ_BYTES = 1024 * 1024
const JSON_TYPE = 'application/json'

/** @throws FiniteTopicError `stream-not-found`, `fork-source-gone`, `content-type-mismatch`, `invalid-offset` */
export async function resolveFork(
  source: ForkSource,
  { contentType }: WantedConfig,
  { source: name, offset: wanted, sub = 0 }: Fork,
): Promise<ResolvedFork> {
  const entry = await source.find(name)
  if (!entry) throw new FiniteTopicError('stream-not-found', `There is no finite topic ${quote(name)} to fork.`)
  const inherited = entry.describe()
  if (inherited.isDeleted)
    throw new FiniteTopicError('fork-source-gone', `${quote(name)} has been deleted: it cannot be forked.`)
  if (contentType !== undefined && contentType !== inherited.contentType)
    throw new FiniteTopicError(
      'content-type-mismatch',
      `The source ${quote(name)} has the content type ${quote(inherited.contentType)}, not ${quote(contentType)}.`,
    )
  const anchor = wanted ?? inherited.tail
  if (anchor > inherited.tail)
    throw new FiniteTopicError('invalid-offset', `The offset of the fork lies beyond the tail of ${quote(name)}.`)
  const { offset, messages } = await beyond(source, entry, anchor, sub)
  return { stored: { source: name, incarnation: inherited.incarnation, offset }, messages, inherited }
}

/** Finds the sub-offset after an offset: a number of messages of JSON, or of bytes of the next message. */
async function beyond(
  { log, known }: ForkSource,
  entry: Entry,
  anchor: number,
  sub: number,
): Promise<{ offset: number; messages: Message[] }> {
  if (sub === 0) return { offset: anchor, messages: [] }
  const segments = segmentsOf(entry, known)
  if (entry.record.contentType === JSON_TYPE) {
    let offset = anchor
    for (let left = sub; ;) {
      const { messages, isComplete } = await readMessages(log, segments, offset, READ_BYTES)
      if (messages.length >= left) return { offset: messages[left - 1]!.sequence, messages: [] }
      if (isComplete) throw overshoot(sub)
      left -= messages.length
      offset = messages.at(-1)!.sequence
    }
  }
  const next = (await readMessages(log, segments, anchor, 1)).messages[0]
  if (!next || sub > bytesOf(next)) throw overshoot(sub)
  if (sub === bytesOf(next)) return { offset: next.sequence, messages: [] }
  return { offset: anchor, messages: [beginningOf(next, sub)] }
}

function overshoot(sub: number): FiniteTopicError {
  return new FiniteTopicError('invalid-offset', `The sub-offset ${sub} of the fork lies beyond the next message.`)
}

/** Returns the first bytes of a message: as bytes if they end within a character. */
function beginningOf({ kind, payload }: ReadMessage, length: number): Message {
  const bytes = Buffer.from(payload, kind === 'bytes' ? 'base64' : 'utf8').subarray(0, length)
  const text = bytes.toString()
  if (kind !== 'bytes' && Buffer.from(text).equals(bytes)) return { kind: 'text', payload: text }
  return { kind: 'bytes', payload: bytes.toString('base64') }
}
