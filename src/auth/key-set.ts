/**
 * Public keys that somebody else publishes as a JSON Web Key Set (RFC 7517) and replaces now and then. Which key a token
 * is for, jose finds; when the set is fetched is decided here: an outage of the key server must not lock out whose key
 * is known, and tokens with made-up keys must not become a flood of requests to it.
 */
import { KeyObject } from 'node:crypto'
import { createLocalJWKSet, errors, type JSONWebKeySet, type LocalJWKSet } from 'jose'
import { Problem } from '../errors.js'

/** How long a set is used before it is fetched again in the background, in milliseconds. */
const MAX_AGE = 600_000
/** For how long after a fetch none follows, whatever keys are asked for, in milliseconds. */
const COOLDOWN = 5_000
/** How long the key server may take, in milliseconds. */
const TIMEOUT = 5_000
/** The kinds of keys that have a public half (RFC 7518, 6.1; RFC 8037). */
const PUBLIC_KEYS = ['RSA', 'EC', 'OKP']
/** Names of keys are hashes, dates or URLs; what is longer is none. */
const KID_MAX_LENGTH = 256

export interface KeySetOptions {
  /** Told when the set could not be fetched, and when it can be again. */
  onHealth?: ((err: Error | undefined) => void) | undefined
  /** Told when there are other keys than before: what was verified with the old ones may have been so with one that is gone. */
  onChange?: (() => void) | undefined
  /** In milliseconds. */
  cooldown?: number
  /** In milliseconds. */
  maxAge?: number
}

export class KeySet {
  readonly #url: string
  readonly #options: KeySetOptions
  readonly #cooldown: number
  readonly #maxAge: number
  /** Keys as Node has them, by what jose gives. */
  readonly #objects = new WeakMap<object, KeyObject>()
  #keys: LocalJWKSet | undefined
  #text = ''
  #fetching: Promise<void> | undefined
  /** When the last fetch ended, and the last that succeeded, on the clock of `performance.now()`. */
  #triedAt = -Infinity
  #fetchedAt = -Infinity
  #failure: Error | undefined

  constructor(url: string, options: KeySetOptions = {}) {
    this.#url = url
    this.#options = options
    this.#cooldown = options.cooldown ?? COOLDOWN
    this.#maxAge = options.maxAge ?? MAX_AGE
  }

  /** Fetches the set, unless that has been tried a moment ago. What goes wrong is told to `onHealth`. */
  refresh(): Promise<void> {
    if (this.#fetching) return this.#fetching
    if (performance.now() - this.#triedAt < this.#cooldown) return Promise.resolve()
    return (this.#fetching = this.#fetch().finally(() => {
      this.#triedAt = performance.now()
      this.#fetching = undefined
    }))
  }

  /**
   * The public key that a token's header asks for, by its `kid` and `alg`. The same key is the same object.
   * @throws Problem `malformed-token` (a `kid` that cannot be one), `invalid-signature` (no such key), `keys-unavailable`
   */
  async find({ alg, kid }: { alg: string; kid?: unknown }): Promise<KeyObject> {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > KID_MAX_LENGTH)) {
      throw new Problem('malformed-token', `The "kid" in the token's header has to be a string of 1 to ${KID_MAX_LENGTH} characters.`)
    }
    if (performance.now() - this.#fetchedAt > this.#maxAge) {
      const refreshing = this.refresh()
      if (!this.#keys) await refreshing // else in the background: known keys are good meanwhile
    }
    const header = kid === undefined ? { alg } : { alg, kid }
    const known = await this.#lookUp(header)
    if (known) return known
    await this.refresh() // keys are replaced: it may be a new one
    const found = await this.#lookUp(header)
    if (found) return found
    if (this.#failure) throw new Problem('keys-unavailable', 'The token\'s key is not known yet, and the key server (FANFARE_JWKS_URL) cannot be reached.', {}, { cause: this.#failure })
    throw new Problem('invalid-signature', `The key server (FANFARE_JWKS_URL) has no key ${kid === undefined ? '' : 'with the token\'s "kid" '}for ${alg}.`)
  }

  async #lookUp(header: { alg: string; kid?: string }): Promise<KeyObject | undefined> {
    try {
      const key = await this.#keys?.(header)
      return key && this.#toKeyObject(key)
    } catch (err) {
      if (err instanceof errors.JWKSNoMatchingKey) return undefined
      if (err instanceof errors.JWKSMultipleMatchingKeys) throw new Problem('invalid-signature', 'The token\'s header does not say by "kid" which of several keys it is signed with.')
      throw new Problem('keys-unavailable', 'The key server (FANFARE_JWKS_URL) has a key of the token\'s "kid" that cannot be used.', {}, { cause: err })
    }
  }

  #toKeyObject(key: Awaited<ReturnType<LocalJWKSet>>): KeyObject {
    let object = this.#objects.get(key)
    if (!object) this.#objects.set(key, (object = KeyObject.from(key)))
    return object
  }

  async #fetch(): Promise<void> {
    try {
      const response = await fetch(this.#url, { headers: { accept: 'application/jwk-set+json, application/json' }, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT) })
      const text = await response.text()
      if (!response.ok) throw new Error(`the key server answered ${response.status}`)
      if (text !== this.#text) this.#replace(text)
      this.#fetchedAt = performance.now()
      if (this.#failure) this.#options.onHealth?.(undefined)
      this.#failure = undefined
    } catch (err) {
      const known = this.#failure
      this.#failure = err instanceof Error ? err : new Error(String(err))
      if (!known) this.#options.onHealth?.(this.#failure)
    }
  }

  #replace(text: string): void {
    const set = JSON.parse(text) as JSONWebKeySet
    const keys = createLocalJWKSet(set) // which checks that it is one
    if (!set.keys.some(({ kty }) => PUBLIC_KEYS.includes(kty ?? ''))) throw new Error('the key server has no public keys') // which would lock everybody out
    this.#keys = keys
    if (this.#text !== '') this.#options.onChange?.()
    this.#text = text
  }
}
