/** Revocations refuse one valid token, or all tokens of a subject, until a given time. */
import { randomBytes } from 'node:crypto'
import { Problem } from '../errors.js'
import type { Principal } from '../model/principal.js'
import type { KeyValue, RecordChange } from '../log/log.js'

const PREFIX = 'revocation/'

/** The revoked tokens: all tokens of a subject, or the token with an id. */
export type Revoked = { subject: string } | { jti: string }

export type Revocation = Revoked & {
  id: string
  /** In milliseconds since the Unix epoch. */
  until: number
}

export class Revocations {
  readonly #records: KeyValue
  readonly #onForce: () => unknown
  readonly #byId = new Map<string, Revocation>()
  /** Revocations by subject or by token id (`keyOf`). */
  readonly #byKey = new Map<string, Set<Revocation>>()

  /**
   * @param records the storage of revocations, which survives a restart and also has the revocations of other processes
   * @param onForce called when any process has added a revocation, before the revocation is durable. It ends the
   *   streams of the revoked tokens. These tokens cannot open new streams meanwhile, since opening a stream already
   *   checks the revocation
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
   * Revokes tokens at once. Resolves when the revocation is durable and `onForce` is done.
   * @throws HubError `log-unavailable`; nothing is revoked then
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

  /** Returns the revocations in force. */
  list(): Revocation[] {
    this.#sweep()
    return [...this.#byId.values()]
  }

  /**
   * Lifts a revocation. Resolves when the removal is durable.
   * @returns whether the revocation was in force
   */
  async delete(id: string): Promise<boolean> {
    this.#sweep()
    const revocation = this.#byId.get(id)
    if (!revocation) return false
    await this.#records.delete(PREFIX + id)
    this.#forget(revocation)
    return true
  }

  /** Whether the token of a principal, or every token of its subject, is revoked now. */
  includes({ subject, tokenId }: Principal): boolean {
    if (this.#byId.size === 0) return false
    return (
      (subject !== undefined && this.#isInForce(keyOf({ subject }))) ||
      (tokenId !== undefined && this.#isInForce(keyOf({ jti: tokenId })))
    )
  }

  /**
   * Checks that the token of a principal is not revoked. Call it again after every `await`, before acting for the
   * principal.
   * @throws Problem `revoked-token`
   */
  refuse(principal: Principal): void {
    if (!this.includes(principal)) return
    throw new Problem('revoked-token', 'The token, or every token of its "sub", is revoked until a later time.')
  }

  #isInForce(key: string): boolean {
    const now = Date.now()
    for (const { until } of this.#byKey.get(key) ?? []) if (until > now) return true
    return false
  }

  /** Handles a record that this process or another has changed. */
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

  /** Drops revocations that have ended. Their records expire. */
  #sweep(): void {
    const now = Date.now()
    for (const revocation of [...this.#byId.values()].filter(({ until }) => until <= now)) this.#forget(revocation)
  }
}

function keyOf(revoked: Revoked): string {
  return 'subject' in revoked ? `subject/${revoked.subject}` : `jti/${revoked.jti}`
}
