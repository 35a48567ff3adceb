/** Revocations: tokens, or all tokens of a subject, that are refused until a time although they are good. */
import { randomBytes } from 'node:crypto'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import type { KeyValue, RecordChange } from '../log/log.js'

const PREFIX = 'revocation/'

/** Whose tokens are meant: those of a subject, or the one of an id. */
export type Revoked = { subject: string } | { jti: string }

export type Revocation = Revoked & {
  id: string
  /** In milliseconds since the epoch of Unix. */
  until: number
}

export class Revocations {
  readonly #records: KeyValue
  readonly #onForce: () => unknown
  readonly #byId = new Map<string, Revocation>()
  /** Those of a subject or of a token id. */
  readonly #byKey = new Map<string, Set<Revocation>>()

  /**
   * @param records where they are kept: a restart does not lift them, and those of other processes come from there
   * @param onForce called once further tokens are refused, by whichever process, before that is durable. It ends their
   *   streams: a stream that is still to be opened is refused by then, so none can slip in between
   */
  static async open(records: KeyValue, onForce: (revocations: Revocations) => unknown): Promise<Revocations> {
    const revocations: Revocations = new Revocations(records, () => onForce(revocations))
    await records.watch(PREFIX, (change) => revocations.#changed(change))
    return revocations
  }

  private constructor(records: KeyValue, onForce: () => unknown) {
    this.#records = records
    this.#onForce = onForce
  }

  /**
   * Refuses tokens from now on. Resolves when that is durable, and `onForce` is done.
   * @throws HubError `log-unavailable`, with nothing revoked
   */
  async add(revoked: Revoked, until: number): Promise<Revocation> {
    this.#sweep()
    const revocation: Revocation = { id: randomBytes(12).toString('base64url'), ...revoked, until }
    this.#index(revocation)
    const forced = this.#onForce()
    try {
      await this.#records.put(PREFIX + revocation.id, revocation, { ttl: until - Date.now() })
      await forced
    } catch (err) {
      this.#forget(revocation)
      throw err
    }
    return revocation
  }

  /** Those in force. */
  list(): Revocation[] {
    this.#sweep()
    return [...this.#byId.values()]
  }

  /**
   * Lifts one. Resolves when that is durable.
   * @returns whether it was in force
   */
  async delete(id: string): Promise<boolean> {
    this.#sweep()
    const revocation = this.#byId.get(id)
    if (!revocation) return false
    await this.#records.delete(PREFIX + id)
    this.#forget(revocation)
    return true
  }

  /** Whether somebody's token, or all of their tokens, are refused now. */
  includes({ subject, tokenId }: Principal): boolean {
    if (this.#byId.size === 0) return false
    return (
      (subject !== undefined && this.#isInForce(keyOf({ subject }))) ||
      (tokenId !== undefined && this.#isInForce(keyOf({ jti: tokenId })))
    )
  }

  /**
   * To be asked again after whatever was waited for since the token was checked.
   * @throws Problem `revoked-token`
   */
  refuse(principal: Principal): void {
    if (!this.includes(principal)) return
    throw new Problem(
      'revoked-token',
      'The token, or every token of its "sub", has been revoked until a time that has not come yet.',
    )
  }

  #isInForce(key: string): boolean {
    const now = Date.now()
    for (const { until } of this.#byKey.get(key) ?? []) if (until > now) return true
    return false
  }

  /** A record has changed, of this process or another. */
  #changed({ key, value }: RecordChange): void {
    const known = this.#byId.get(key.slice(PREFIX.length))
    if (value === undefined) {
      if (known) this.#forget(known)
    } else if (!known) {
      this.#index(value as Revocation)
      this.#onForce()
    }
  }

  #index(revocation: Revocation): void {
    const key = keyOf(revocation)
    this.#byId.set(revocation.id, revocation)
    const others = this.#byKey.get(key)
    if (others) others.add(revocation)
    else this.#byKey.set(key, new Set([revocation]))
  }

  #forget(revocation: Revocation): void {
    const key = keyOf(revocation)
    const others = this.#byKey.get(key)
    this.#byId.delete(revocation.id)
    others?.delete(revocation)
    if (others?.size === 0) this.#byKey.delete(key)
  }

  /** Forgets those that have ended. Their records expire. */
  #sweep(): void {
    const now = Date.now()
    for (const revocation of [...this.#byId.values()].filter(({ until }) => until <= now)) this.#forget(revocation)
  }
}

function keyOf(revoked: Revoked): string {
  return 'subject' in revoked ? `subject/${revoked.subject}` : `jti/${revoked.jti}`
}
