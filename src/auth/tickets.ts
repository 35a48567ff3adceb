/**
 * Tickets replace tokens in URLs. A ticket only opens event streams, and only for a short time, so a ticket in a log
 * file is useless to an attacker.
 *
 * A ticket is a JWT that the hub signs. Its `typ` and `aud` (RFC 8725, 3.11 and 3.12) distinguish tickets from tokens,
 * even if both have the same key.
 *
 * The key is a record of the log, so tickets survive a restart, and every process accepts them. Processes that draw a
 * key at the same time draw several, and each is valid. A ticket names its key.
 */
import { randomBytes } from 'node:crypto'
import { createDecoder, createSigner, createVerifier } from 'fast-jwt'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import type { KeyValue } from '../log/log.js'
import { readClaims, type Bearer } from './principal.js'

const TYPE = 'fanfare-ticket+jwt'
const AUDIENCE = 'fanfare-ticket'
/** The record of a key is named after the id of the key. Versions before 0.2 had one key, without an id. */
const KEY_RECORD = 'ticket-key'
const NO_ID = ''
const KEY_ID = /^[\w-]{8}$/
const KEY_ID_BYTES = 6
/** The key is as long as the hash (RFC 7518, 3.2). */
const KEY_BYTES = 32
const GRANTS = 'fanfare'
/** The maximum length of a ticket. Node accepts 16 KiB for the head of a request (`maxHeaderSize`), ticket included. */
const MAX_LENGTH = 12_000

/** The claims of a ticket. */
interface TicketClaims {
  /** When the ticket expires, in milliseconds since the Unix epoch. `exp` is too coarse: it counts whole seconds. */
  until: number
  /** The claims of the token that the ticket replaces. */
  token: Record<string, unknown>
}

export interface Ticket {
  ticket: string
  /** In milliseconds since the Unix epoch. */
  expiresAt: number
}

/** A key that signs and verifies tickets. */
interface TicketKey {
  id: string
  key: string
  verify: (ticket: string) => TicketClaims
}

const decode = createDecoder({ complete: true }) as (ticket: string) => { header: Record<string, unknown> }

/** Whether the `typ` of a JWT's header is that of a ticket. The prefix `application/` is optional (RFC 7515, 4.1.9). */
export function isTicketType(typ: unknown): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === TYPE
}

export class Tickets {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #anonymousSubscribe: readonly string[]
  /** The keys by their ids, in the order of their records. */
  readonly #keys = new Map<string, TicketKey>()
  #drawing: Promise<TicketKey> | undefined

  /**
   * @param records the storage of the keys, which other processes may draw
   * @param ttl how long a ticket is valid, in milliseconds
   * @param anonymousSubscribe the topics and patterns that need no token
   */
  static async open(records: KeyValue, ttl: number, anonymousSubscribe: readonly string[]): Promise<Tickets> {
    const tickets = new Tickets(records, ttl, anonymousSubscribe)
    await records.watch(KEY_RECORD, ({ key, value }) => {
      const id = idOf(key)
      if (id !== undefined) tickets.#useKey(id, value as string | undefined)
    })
    return tickets
  }

  private constructor(records: KeyValue, ttl: number, anonymousSubscribe: readonly string[]) {
    this.#records = records
    this.#ttl = ttl
    this.#anonymousSubscribe = anonymousSubscribe
  }

  /**
   * Issues a ticket with the grants of a token. The ticket expires with the token at the latest.
   * @throws Problem `invalid-request` if the ticket would be too long for a URL
   * @throws HubError `log-unavailable` if the key of the first ticket cannot be stored
   */
  async issue(bearer: Bearer): Promise<Ticket> {
    const { id, key } = this.#current ?? (await this.#drawKey())
    const expiresAt = Math.min(Date.now() + this.#ttl, bearer.acceptedUntil ?? Infinity)
    const header = { alg: 'HS256', typ: TYPE, ...(id !== NO_ID && { kid: id }) }
    const sign = createSigner({ key, algorithm: 'HS256', header, noTimestamp: true })
    const ticket = sign({
      aud: AUDIENCE,
      until: expiresAt,
      token: toClaims(bearer, this.#anonymousSubscribe),
    } satisfies TicketClaims & { aud: string })
    if (ticket.length > MAX_LENGTH)
      throw new Problem(
        'invalid-request',
        `The token has too many grants for a ticket: the ticket would have ${ticket.length} characters, and a URL has room for ${MAX_LENGTH}. Issue a token with fewer grants; one pattern can stand for many topics.`,
      )
    return { ticket, expiresAt }
  }

  /**
   * Returns the principal of a ticket. Its grants end with the token, not with the ticket.
   * @throws Problem `invalid-ticket`
   */
  async read(ticket: string): Promise<Bearer> {
    const key = await this.#keyOf(ticket)
    if (!key) throw new Problem('invalid-ticket', 'The ticket was not issued by this hub.')
    let claims: TicketClaims
    try {
      claims = key.verify(ticket)
    } catch (err) {
      throw new Problem('invalid-ticket', wordsFor(err), {}, { cause: err })
    }
    if (claims.until <= Date.now())
      throw new Problem(
        'invalid-ticket',
        'The ticket has expired: get a new one (POST /tickets) right before each stream.',
      )
    const bearer = readClaims(claims.token, GRANTS, this.#anonymousSubscribe)
    const { acceptedUntil = Infinity } = bearer
    return { ...bearer, acceptedUntil: Math.max(acceptedUntil, claims.until) }
  }

  /** The key for new tickets. */
  get #current(): TicketKey | undefined {
    const [first] = this.#keys.values()
    return first
  }

  /** Returns the key that a ticket names, or any key; `undefined`: there is none. */
  async #keyOf(ticket: string): Promise<TicketKey | undefined> {
    const id = keyIdIn(ticket)
    const key = this.#keys.get(id)
    if (key || !KEY_ID.test(id)) return key ?? this.#current
    // another process may have drawn it just now
    const stored = await this.#records.get(recordOf(id))
    return typeof stored === 'string' ? toKey(id, stored) : this.#current
  }

  /** Draws the key with the first ticket of a log. Concurrent requests wait for the same key. */
  async #drawKey(): Promise<TicketKey> {
    this.#drawing ??= (async () => {
      const id = randomBytes(KEY_ID_BYTES).toString('base64url')
      const key = randomBytes(KEY_BYTES).toString('base64url')
      await this.#records.put(recordOf(id), key)
      return this.#keys.get(id) ?? this.#useKey(id, key)!
    })().finally(() => (this.#drawing = undefined))
    return this.#drawing
  }

  /** @param key `undefined`: the key is withdrawn */
  #useKey(id: string, key: string | undefined): TicketKey | undefined {
    if (key === undefined) {
      this.#keys.delete(id)
      return undefined
    }
    const used = toKey(id, key)
    this.#keys.set(id, used)
    return used
  }
}

function toKey(id: string, key: string): TicketKey {
  const verify = createVerifier({
    key,
    algorithms: ['HS256'],
    checkTyp: TYPE,
    allowedAud: AUDIENCE,
    requiredClaims: ['aud', 'until', 'token'],
    cache: false,
  }) as TicketKey['verify']
  return { id, key, verify }
}

function recordOf(id: string): string {
  return id === NO_ID ? KEY_RECORD : `${KEY_RECORD}/${id}`
}

/** Returns the id of the key in a record; `undefined`: the record holds no key. */
function idOf(record: string): string | undefined {
  if (record === KEY_RECORD) return NO_ID
  return record.startsWith(`${KEY_RECORD}/`) ? record.slice(KEY_RECORD.length + 1) : undefined
}

/** Returns the id of the key that a ticket names. */
function keyIdIn(ticket: string): string {
  try {
    const { kid } = decode(ticket).header
    return typeof kid === 'string' ? kid : NO_ID
  } catch {
    return NO_ID // verifying it fails
  }
}

/**
 * Returns the claims of a principal for its ticket, without `publish` grants. In the other grants `{sub}` is resolved,
 * except in void grants, which stay as they are.
 * @param anonymousSubscribe the topics and patterns that need no token; reading the ticket adds them again
 */
function toClaims(
  { subject, tokenId, expiresAt, admin, info, grants, voidGrants }: Principal,
  anonymousSubscribe: readonly string[],
): Record<string, unknown> {
  const own = {
    subscribe: [
      ...grants.subscribe.filter((pattern) => !anonymousSubscribe.includes(pattern)),
      ...voidGrants.subscribe,
    ],
    presence: [...grants.presence, ...voidGrants.presence],
  }
  return {
    ...(subject === undefined ? {} : { sub: subject }),
    ...(tokenId === undefined ? {} : { jti: tokenId }),
    ...(expiresAt === undefined ? {} : { exp: expiresAt / 1_000 }),
    [GRANTS]: {
      ...(admin ? { admin } : {}),
      ...(info === undefined ? {} : { info }),
      ...Object.fromEntries(Object.entries(own).filter(([, patterns]) => patterns.length > 0)),
    },
  }
}

function wordsFor(err: unknown): string {
  switch (err instanceof Error && 'code' in err ? err.code : undefined) {
    case 'FAST_JWT_INVALID_SIGNATURE':
    case 'FAST_JWT_INVALID_ALGORITHM':
      return 'The ticket was not issued by this hub, or was changed. A token is not a ticket: POST /tickets issues a ticket for a token.'
    default:
      return 'The value is not a ticket: POST /tickets issues a ticket for a token.'
  }
}
