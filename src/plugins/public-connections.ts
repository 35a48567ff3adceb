/** What an application has of the streams that are open. Its code needs no token. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { Hub } from '../hub/hub.js'
import type { StreamInfo } from '../hub/stream-info.js'
import { HubError } from '../model/hub-error.js'
import { quote } from '../model/quote.js'

/** Which streams a page lists. */
export interface ConnectionsOptions {
  /** Only streams whose ids come after this one: that of the last stream of the page before. */
  after?: string | undefined
  /** The most streams of the page, from 1 to 1,000. Default: 100. */
  limit?: number | undefined
  /** Only streams of this subject. */
  subject?: string | undefined
}

/** A page of the streams that are open. */
export interface ConnectionsPage {
  /** In the order of their ids. */
  connections: StreamInfo[]
  /** Whether more streams follow. */
  more: boolean
}

/** The streams of the hub that are open. */
export interface FanfareConnections {
  /** How many are open. */
  readonly size: number
  /**
   * Lists streams, as `GET /connections` does.
   * @throws HubError `invalid-request` for an option that is not known or has a wrong value
   */
  list(options?: ConnectionsOptions): Promise<ConnectionsPage>
  /**
   * Describes one stream, as `GET /connections/{id}` does. Returns `undefined` when no open stream has this id.
   * @throws HubError `invalid-request` when the id is no string
   */
  get(id: string): StreamInfo | undefined
  /**
   * Ends one stream. Its last block has the reason `revoked`, as with `DELETE /connections/{id}`.
   * @returns whether an open stream had this id
   * @throws HubError `invalid-request` when the id is no string
   */
  end(id: string): boolean
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

const OPTIONS: readonly string[] = ['after', 'limit', 'subject'] satisfies (keyof ConnectionsOptions)[]

/** Creates what an application has of the streams of a hub. */
export function createPublicConnections(hub: Hub): FanfareConnections {
  return {
    get size() {
      return hub.connections.size
    },
    async list(options = {}) {
      const { after, limit, subject } = readOptions(options)
      const { streams: subscribers, more } = await hub.connections.page(
        after,
        limit,
        ({ info }) => subject === undefined || info.principal.subject === subject,
      )
      return { connections: await mapInTurns(subscribers, (subscriber) => hub.describe(subscriber)), more }
    },
    get(id) {
      const subscriber = hub.connections.get(requireString('The id of a stream', id))
      return subscriber && hub.describe(subscriber)
    },
    end(id) {
      const subscriber = hub.connections.get(requireString('The id of a stream', id))
      subscriber?.end('revoked')
      return subscriber !== undefined
    },
  }
}

/** Checks the options of a list: a program without types may have made them. */
function readOptions(options: unknown): { after: string; limit: number; subject: string | undefined } {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new HubError(
      'invalid-request',
      `The options of a list are an object such as { subject, limit }, not ${quote(options)}.`,
    )
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined)
    throw new HubError(
      'invalid-request',
      `A list has no option ${quote(unknown)}: its options are ${OPTIONS.join(', ')}.`,
    )
  const { after = '', limit = DEFAULT_LIMIT, subject } = options as Record<keyof ConnectionsOptions, unknown>
  return {
    after: requireString('after', after),
    limit: requireLimit(limit),
    subject: subject === undefined ? undefined : requireString('subject', subject),
  }
}

function requireLimit(limit: unknown): number {
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new HubError(
    'invalid-request',
    `limit is a whole number from 1 to ${MAX_LIMIT.toLocaleString('en')}, not ${quote(limit)}.`,
  )
}

/** @param name what the message calls the value */
function requireString(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new HubError('invalid-request', `${name} is a string, not ${quote(value)}.`)
}
