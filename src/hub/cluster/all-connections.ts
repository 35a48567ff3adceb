/** The open streams of all processes. */
import type { ClusterMessage } from '../../cluster/cluster.js'
import { mapInTurns } from '../../event-loop/time-slice.js'
import { arrayOf, isBoolean, isNumber, isString, oneOf, optional, shapeOf } from '../../model/shape.js'
import type { Connection, Connections } from '../connections.js'
import { isStreamInfo, type StreamInfo } from '../stream-info.js'
import type { StreamIdentity } from '../stream.js'
import type { Messenger } from './messenger.js'

/** The maximum length of all topics on a page, in characters. A page has at least one stream, even a longer one. */
const MAX_TOPIC_LENGTH = 256 * 1024

/** Selects the streams of a page. */
export interface ConnectionsRequest {
  /** Only streams whose ids sort after this one. */
  after: string
  /** The maximum number of streams. */
  limit: number
  /** Only streams that have this topic or pattern, or a pattern that matches the topic. */
  topic?: string | undefined
  /** Only streams of this subject. */
  subject?: string | undefined
  /** Only streams whose id, subject or address contains this text, in any case. */
  search?: string | undefined
  /** By id, or those with the greatest lag first. A page by lag has no next page. Default: by id. */
  order?: 'id' | 'lag' | undefined
}

/** A page of open streams, in the order of the request. */
export interface ConnectionsList {
  connections: StreamInfo[]
  more: boolean
}

interface ListMessage extends ClusterMessage {
  kind: 'connections'
  request: ConnectionsRequest
}

/** The streams of a subject, and the streams from an address (`networkOf`). */
export interface StreamCounts {
  ofSubject: number
  fromAddress: number
}

interface CountMessage extends ClusterMessage {
  kind: 'count-streams'
  subject: string | undefined
  address: string | undefined
}

interface EndMessage extends ClusterMessage {
  kind: 'end-subject'
  subject: string
}

const isList = shapeOf<ConnectionsList>({ connections: arrayOf(isStreamInfo), more: isBoolean })
const isListBody = shapeOf({
  request: shapeOf<ConnectionsRequest>({
    after: isString,
    limit: isNumber,
    topic: optional(isString),
    subject: optional(isString),
    search: optional(isString),
    order: optional(oneOf('id', 'lag')),
  }),
})
const isCountBody = shapeOf({ subject: optional(isString), address: optional(isString) })
const isCounts = shapeOf<StreamCounts>({ ofSubject: isNumber, fromAddress: isNumber })

/** What the list of streams needs to know of a stream. */
interface StreamView {
  describe: (stream: Connection) => StreamInfo
  /** Returns the maximum number of events that a stream has not been sent. */
  lag: (stream: Connection) => number
}

export class AllConnections {
  readonly #messenger: Messenger
  readonly #own: Connections
  readonly #view: StreamView

  constructor(messenger: Messenger, own: Connections, view: StreamView) {
    this.#messenger = messenger
    this.#own = own
    this.#view = view
    messenger.onRequest<ListMessage>('connections', isListBody, ({ request }) => this.#list(request))
    messenger.onRequest<CountMessage>('count-streams', isCountBody, ({ subject, address }) =>
      this.#count(subject, address),
    )
    messenger.onRequest<EndMessage>('end-subject', shapeOf({ subject: isString }), ({ subject }) => this.#end(subject))
  }

  /**
   * Lists open streams.
   * @throws HubError `unavailable` if a process does not answer
   */
  async list(request: ConnectionsRequest): Promise<ConnectionsList> {
    const [own, answers] = await Promise.all([
      this.#list(request),
      this.#messenger.askAll({ kind: 'connections', request } satisfies ListMessage, isList),
    ])
    if (answers.length === 0) return own
    const lists = [own, ...answers.map(({ value }) => value)]
    return request.order === 'lag' ? mergeByLag(lists, request.limit) : merge(lists, request.limit)
  }

  /**
   * Ends the streams of a subject.
   * @returns the number of streams that were ended
   * @throws HubError `unavailable` if a process does not answer; the streams of the others have ended then
   */
  async endSubject(subject: string): Promise<number> {
    const [own, answers] = await Promise.all([
      this.#end(subject),
      this.#messenger.askAll({ kind: 'end-subject', subject } satisfies EndMessage, isNumber),
    ])
    return answers.reduce((sum, { value }) => sum + value, own)
  }

  /**
   * Counts the streams of the other processes. It asks them only if this process has a stream of the subject or from
   * the address: most subjects have one stream, which then waits for no answer. A process that does not answer within
   * half a second counts as 0.
   * @param address `undefined`: addresses are not counted
   */
  async countElsewhere(subject: string | undefined, address: string | undefined): Promise<StreamCounts> {
    const own = this.#count(subject, address)
    const counts: StreamCounts = { ofSubject: 0, fromAddress: 0 }
    if (own.ofSubject + own.fromAddress === 0) return counts
    const message = { kind: 'count-streams', subject, address } satisfies CountMessage
    for (const { value } of await this.#messenger.gather(message, isCounts)) {
      const { ofSubject, fromAddress } = value
      counts.ofSubject += ofSubject
      counts.fromAddress += fromAddress
    }
    return counts
  }

  #count(subject: string | undefined, address: string | undefined): StreamCounts {
    return {
      ofSubject: subject === undefined ? 0 : this.#own.ofSubject(subject),
      fromAddress: address === undefined ? 0 : this.#own.fromAddress(address),
    }
  }

  async #list({ after, limit, topic, subject, search, order }: ConnectionsRequest): Promise<ConnectionsList> {
    const text = search?.toLowerCase()
    const isMeant = ({ info, selection }: Connection) =>
      (subject === undefined || info.principal.subject === subject) &&
      (topic === undefined || selection.patterns.includes(topic) || selection.hasTopic(topic)) &&
      (text === undefined || isFound(info, text))
    const { streams, more } =
      order === 'lag'
        ? await this.#own.first(limit, this.#view.lag, isMeant)
        : await this.#own.page(after, limit, isMeant)
    const page = streams.slice(
      0,
      fitting(streams, ({ selection }) => selection.patterns),
    )
    return { connections: await mapInTurns(page, this.#view.describe), more: more || page.length < streams.length }
  }

  #end(subject: string): Promise<number> {
    return this.#own.end('revoked', ({ info }) => info.principal.subject === subject)
  }
}

/** @param text in lower case */
function isFound({ id, address, principal }: StreamIdentity, text: string): boolean {
  return [id, address, principal.subject].some((value) => value?.toLowerCase().includes(text))
}

/** Merges the lists of several processes, each of which begins with its greatest lag. */
function mergeByLag(lists: readonly ConnectionsList[], limit: number): ConnectionsList {
  const known = lists.flatMap(({ connections }) => connections).sort((a, b) => b.lag - a.lag || (a.id < b.id ? -1 : 1))
  const limited = known.slice(0, limit)
  const connections = limited.slice(
    0,
    fitting(limited, ({ topics }) => topics),
  )
  return { connections, more: lists.some(({ more }) => more) || connections.length < known.length }
}

/** Merges the pages of several processes, up to the earliest end of an incomplete page: later streams are unknown. */
function merge(lists: readonly ConnectionsList[], limit: number): ConnectionsList {
  const ends = lists.flatMap(({ connections, more }) => (more ? [connections.at(-1)?.id ?? ''] : [])).sort()
  const end = ends[0]
  const known = lists
    .flatMap(({ connections }) => connections)
    .filter(({ id }) => end === undefined || id <= end)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const limited = known.slice(0, limit)
  const connections = limited.slice(
    0,
    fitting(limited, ({ topics }) => topics),
  )
  return { connections, more: end !== undefined || connections.length < known.length }
}

/** Returns how many streams fit on a page with their topics; at least one. */
function fitting<T>(streams: readonly T[], topicsOf: (stream: T) => readonly string[]): number {
  let length = 0
  const full = streams.findIndex(
    (stream) => (length += topicsOf(stream).reduce((sum, topic) => sum + topic.length, 0)) > MAX_TOPIC_LENGTH,
  )
  return full < 0 ? streams.length : Math.max(1, full)
}
