/**
 * Tickets replace tokens in URLs. A ticket only opens event streams, and only for a short time, so a ticket in a log
 * file is useless to an attacker.
 *
 * A ticket is a JWT that the hub signs. Its key is a record of the log, so tickets survive a restart. Its `typ` and
 * `aud` (RFC 8725, 3.11 and 3.12) distinguish tickets from tokens, even if both have the same key.
 */
import { randomBytes } from 'node:crypto'
import { createSigner, createVerifier } from 'fast-jwt'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import type { KeyValue } from '../log/log.js'
import { readClaims, type Bearer } from './principal.js'

const TYPE = 'fanfare-ticket+jwt'
const AUDIENCE = 'fanfare-ticket'
const KEY_RECORD = 'ticket-key'
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

type VerifyTicket = (ticket: string) => TicketClaims

/** Whether the `typ` of a JWT's header is that of a ticket. The prefix `application/` is optional (RFC 7515, 4.1.9). */
export function isTicketType(typ: unknown): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === TYPE
}

export class Tickets {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #anonymousSubscribe: readonly string[]
  #key: string | undefined
  #drawing: Promise<string> | undefined
  #verify: VerifyTicket | undefined

  /**
   * @param records the storage of the key, which another process may draw
   * @param ttl how long a ticket is valid, in milliseconds
   * @param anonymousSubscribe the topics and patterns that need no token
   */
  static async open(records: KeyValue, ttl: number, anonymousSubscribe: readonly string[]): Promise<Tickets> {
    const tickets = new Tickets(records, ttl, anonymousSubscribe)
    await records.watch(KEY_RECORD, ({ key, value }) => {
      if (key === KEY_RECORD) tickets.#useKey(value as string | undefined)
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
    const key = this.#key ?? (await this.#drawKey())
    const expiresAt = Math.min(Date.now() + this.#ttl, bearer.acceptedUntil ?? Infinity)
    const sign = createSigner({ key, algorithm: 'HS256', header: { alg: 'HS256', typ: TYPE }, noTimestamp: true })
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
  read(ticket: string): Bearer {
    const verify = this.#verify
    if (!verify) throw new Problem('invalid-ticket', 'The ticket was not issued by this hub.')
    let claims: TicketClaims
    try {
      claims = verify(ticket)
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

  /** Draws the key with the first ticket of a log. Concurrent requests wait for the same key. */
  async #drawKey(): Promise<string> {
    this.#drawing ??= (async () => {
      const key = randomBytes(KEY_BYTES).toString('base64url')
      await this.#records.put(KEY_RECORD, key)
      if (this.#key === undefined) this.#useKey(key)
      return this.#key ?? key // another process may have been faster
    })().finally(() => (this.#drawing = undefined))
    return this.#drawing
  }

  #useKey(key: string | undefined): void {
    this.#key = key
    this.#verify =
      key === undefined
        ? undefined
        : (createVerifier({
            key,
            algorithms: ['HS256'],
            checkTyp: TYPE,
            allowedAud: AUDIENCE,
            requiredClaims: ['aud', 'until', 'token'],
            cache: false,
          }) as VerifyTicket)
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
