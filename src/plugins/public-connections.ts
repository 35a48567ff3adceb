/** The open streams as an application sees them (`app.hub.connections`). The application's code needs no token. */
import { mapInTurns } from '../event-loop/time-slice.js'
import type { Hub } from '../hub/hub.js'
import type { StreamInfo } from '../hub/stream-info.js'
import { HubError } from '../model/hub-error.js'
import { requireOptions } from '../model/options.js'
import { quote } from '../model/quote.js'

/** Selects the streams of a page. */
export interface ConnectionsOptions {
  /** Only streams whose ids sort after this id. Pass the id of the last stream on the previous page. */
  after?: string | undefined
  /** The maximum number of streams on the page, 1 to 1,000. Default: 100. */
  limit?: number | undefined
  /** Only streams of this subject. */
  subject?: string | undefined
}

/** A page of open streams. */
export interface ConnectionsPage {
  /** Sorted by id. */
  connections: StreamInfo[]
  /** Whether more streams follow. */
  more: boolean
}

/** The open streams of the hub. */
export interface FanfareConnections {
  /** The number of open streams. */
  readonly size: number
  /**
   * Lists streams, as `GET /connections` does.
   * @throws HubError `invalid-request` for an unknown option or a wrong value
   */
  list(options?: ConnectionsOptions): Promise<ConnectionsPage>
  /**
   * Describes one stream, as `GET /connections/{id}` does. Returns `undefined` if no open stream has this id.
   * @throws HubError `invalid-request` if the id is not a string
   */
  get(id: string): StreamInfo | undefined
  /**
   * Ends one stream. Its last block has the reason `revoked`, as with `DELETE /connections/{id}`.
   * @returns whether an open stream had this id
   * @throws HubError `invalid-request` if the id is not a string
   */
  end(id: string): boolean
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

const OPTIONS = ['after', 'limit', 'subject'] as const satisfies (keyof ConnectionsOptions)[]

/** Creates `app.hub.connections`. */
export function createPublicConnections(hub: Hub): FanfareConnections {
  return {
    get size() {
      return hub.connections.size
    },
    async list(options = {}) {
      const { after, limit, subject } = readOptions(options)
      const { streams, more } = await hub.connections.page(
        after,
        limit,
        ({ info }) => subject === undefined || info.principal.subject === subject,
      )
      return { connections: await mapInTurns(streams, (stream) => hub.streams.describe(stream)), more }
    },
    get(id) {
      const stream = hub.connections.get(requireString('The id of a stream', id))
      return stream && hub.streams.describe(stream)
    },
    end(id) {
      const stream = hub.connections.get(requireString('The id of a stream', id))
      stream?.end('revoked')
      return stream !== undefined
    },
  }
}

/** Checks the options of `list`. A program without types may pass anything. */
function readOptions(options: unknown): { after: string; limit: number; subject: string | undefined } {
  const { after = '', limit = DEFAULT_LIMIT, subject } = requireOptions(options, 'The options of a list', OPTIONS)
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
    `limit must be a whole number from 1 to ${MAX_LIMIT.toLocaleString('en')}, not ${quote(limit)}.`,
  )
}

/** @param name the name of the value in the message */
function requireString(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new HubError('invalid-request', `${name} must be a string, not ${quote(value)}.`)
}
