/**
 * Tickets: what stands in a URL where a token must not. A ticket opens event streams and does nothing else, for a short
 * time, so one that turns up in a log is of no use to whoever finds it there.
 *
 * It is a JWT of the hub's own: its key is kept in the log's records, so that a ticket outlives a restart, and its
 * `typ` and `aud` (RFC 8725, 3.11 and 3.12) keep it from passing as a token, and a token from passing as a ticket,
 * whatever their keys.
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
/** As long as the hash (RFC 7518, 3.2). */
const KEY_BYTES = 32
const GRANTS = 'fanfare'
/**
 * How long a ticket may be: of the 16 KiB that a request's head may have (Node's `maxHeaderSize`) the rest needs some.
 */
const MAX_LENGTH = 12_000

/** What a ticket says: until when it is good, and the claims of the token that it was made with. */
interface TicketClaims {
  /** In milliseconds since the epoch of Unix: `exp` would be whole seconds, and a ticket may not have many. */
  until: number
  token: Record<string, unknown>
}

export interface Ticket {
  ticket: string
  /** In milliseconds since the epoch of Unix. */
  expiresAt: number
}

type VerifyTicket = (ticket: string) => TicketClaims

/** Whether a JWT's header says that it is a ticket. The prefix may be left out (RFC 7515, 4.1.9). */
export function isTicketType(typ: unknown): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === TYPE
}

export class Tickets {
  readonly #records: KeyValue
  readonly #ttl: number
  readonly #subscribeToo: readonly string[]
  #key: string | undefined
  #drawing: Promise<string> | undefined
  #verify: VerifyTicket | undefined

  /**
   * @param records where the key is kept, which may be drawn by another process
   * @param ttl for how long a ticket is good, in milliseconds
   * @param subscribeToo what anybody may subscribe to
   */
  static async open(records: KeyValue, ttl: number, subscribeToo: readonly string[]): Promise<Tickets> {
    const tickets = new Tickets(records, ttl, subscribeToo)
    await records.watch(KEY_RECORD, ({ key, value }) => {
      if (key === KEY_RECORD) tickets.#useKey(value as string | undefined)
    })
    return tickets
  }

  private constructor(records: KeyValue, ttl: number, subscribeToo: readonly string[]) {
    this.#records = records
    this.#ttl = ttl
    this.#subscribeToo = subscribeToo
  }

  /**
   * Makes a ticket that is good for what a token is, but not for longer.
   * @throws Problem `invalid-request` when it would be too long for a URL
   * @throws HubError `log-unavailable` when the first ticket's key cannot be kept
   */
  async issue(bearer: Bearer): Promise<Ticket> {
    const key = this.#key ?? (await this.#drawKey())
    const expiresAt = Math.min(Date.now() + this.#ttl, bearer.acceptedUntil ?? Infinity)
    const sign = createSigner({ key, algorithm: 'HS256', header: { alg: 'HS256', typ: TYPE }, noTimestamp: true })
    const ticket = sign({
      aud: AUDIENCE,
      until: expiresAt,
      token: toClaims(bearer, this.#subscribeToo),
    } satisfies TicketClaims & { aud: string })
    if (ticket.length > MAX_LENGTH)
      throw new Problem(
        'invalid-request',
        `The token grants too much for a ticket: it would have ${ticket.length} characters, and ${MAX_LENGTH} may stand in a URL. Issue a token with fewer grants; one pattern can stand for many topics.`,
      )
    return { ticket, expiresAt }
  }

  /**
   * Whose ticket it is. What they may do ends with their token, not with the ticket.
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
    const bearer = readClaims(claims.token, GRANTS, this.#subscribeToo)
    const { acceptedUntil = Infinity } = bearer
    return { ...bearer, acceptedUntil: Math.max(acceptedUntil, claims.until) }
  }

  /** The first ticket of a log has its key drawn; those who ask meanwhile wait for the same one. */
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
 * Nothing is published with a ticket. The other grants are those that the token came to: `{sub}` is resolved, or void
 * again, and the claim has its usual name.
 * @param subscribeToo what anybody may subscribe to, which is added when the ticket is read
 */
function toClaims(
  { subject, tokenId, expiresAt, admin, info, grants, voidGrants }: Principal,
  subscribeToo: readonly string[],
): Record<string, unknown> {
  const own = {
    subscribe: [...grants.subscribe.filter((pattern) => !subscribeToo.includes(pattern)), ...voidGrants.subscribe],
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
      return 'The ticket was not issued by this hub, or has been changed. A token is no ticket: POST /tickets makes one of it.'
    default:
      return 'This is no ticket: POST /tickets makes one of a token.'
  }
}
