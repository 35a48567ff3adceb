/**
 * Public keys that a key server publishes as a JSON Web Key Set (RFC 7517) and replaces now and then. jose finds the keys that
 * a token may be signed with. This file decides when the set is fetched: an outage of the key server must not lock out tokens
 * of known keys, and tokens with made-up keys must not become a flood of requests to it.
 */
import { createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type LocalJWKSet } from 'jose'
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import { isWeakRsa } from './keys.js'

/** How long a set is used before it is fetched again in the background, in milliseconds. */
const MAX_AGE = 600_000
/** For how long after a fetch none follows, whatever keys are asked for, in milliseconds. */
const COOLDOWN = 5_000
/** How long the key server may take, in milliseconds. */
const TIMEOUT = 5_000
/** The kinds of keys that have a public half (RFC 7518, 6.1; RFC 8037). */
const PUBLIC_KEYS = ['RSA', 'EC', 'OKP']
/** Names of keys are hashes, dates or URLs. A longer name is an attack. */
const KID_MAX_LENGTH = 256
/** How many keys are tried for one token. A set that rotates its keys holds two or three of a kind. */
const MAX_CANDIDATES = 20
/** How many keys are remembered that no set had. */
const MAX_UNKNOWN = 2_000

export interface KeySetOptions {
  /** Told when the set could not be fetched, and when it can be again. */
  onHealth?: ((err: Error | undefined) => void) | undefined
  /** Told when there are other keys than before: what was verified with the old ones may have been so with one that is gone. */
  onChange?: (() => void) | undefined
  /** Told when a new set has RSA keys that are too short to be used, with the names that they have. */
  onWeakKeys?: ((kids: (string | undefined)[]) => void) | undefined
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
  /** The names of all keys of the set, with those that are of no use. */
  #kids: ReadonlySet<string> = new Set()
  #weakKids: ReadonlySet<string> = new Set()
  /** When each key that the set does not have was first asked for, on the clock of `performance.now()`. */
  readonly #askedAt = new LRUCache<string, number>({ max: MAX_UNKNOWN })
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
    if (this.#cooldownLeft() > 0) return Promise.resolve()
    return (this.#fetching = this.#fetch().finally(() => {
      this.#triedAt = performance.now()
      this.#fetching = undefined
    }))
  }

  /**
   * Returns the public keys that a token's header asks for by its `kid` and `alg`: one, or several where the header names none
   * or the set has a name twice. The same key is the same object.
   *
   * A key that the set does not have may be newer than the set. While no fetch is allowed the answer is temporary. Once the
   * set has been fetched after the key was first asked for, the answer is final.
   * @throws Problem `malformed-token` (a `kid` that cannot be one), `invalid-signature` (no such key), `keys-unavailable`
   */
  async find({ alg, kid }: { alg: string; kid?: unknown }): Promise<KeyObject[]> {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > KID_MAX_LENGTH)) {
      throw new Problem('malformed-token', `The "kid" in the token's header has to be a string of 1 to ${KID_MAX_LENGTH} characters.`)
    }
    const now = performance.now()
    if (now - this.#fetchedAt > this.#maxAge) {
      const refreshing = this.refresh()
      if (!this.#keys) await refreshing // else in the background: known keys are good meanwhile
    }
    const header = kid === undefined ? { alg } : { alg, kid }
    const known = await this.#lookUp(header)
    if (known.length > 0) return known
    const name = kid === undefined ? `alg ${alg}` : `kid ${kid}`
    const askedAt = this.#askedAt.get(name) ?? now
    this.#askedAt.set(name, askedAt)
    await this.refresh() // keys are replaced: it may be a new one
    const found = await this.#lookUp(header)
    if (found.length > 0) return found
    throw this.#refusalOf(header, askedAt)
  }

  /** Says why there is no key, or none yet. */
  #refusalOf({ alg, kid }: { alg: string; kid?: string }, askedAt: number): Problem {
    if (this.#failure) return this.#notNow('The token\'s key is not known yet, and the key server (FANFARE_JWKS_URL) cannot be reached.', this.#failure)
    if (kid !== undefined && this.#weakKids.has(kid)) return new Problem('invalid-signature', 'The token\'s key is RSA of fewer than 2,048 bits, which no token may be signed with (RFC 7518, 3.3).')
    const isInSet = kid !== undefined && this.#kids.has(kid)
    if (!isInSet && askedAt > this.#fetchedAt) return this.#notNow('The token\'s key is not known yet, and the key server (FANFARE_JWKS_URL) was asked a moment ago.')
    return new Problem('invalid-signature', `The key server (FANFARE_JWKS_URL) has no key ${kid === undefined ? '' : 'with the token\'s "kid" '}for ${alg}.`)
  }

  #notNow(words: string, cause?: unknown): Problem {
    return new Problem('keys-unavailable', words, {}, { cause, retryAfter: Math.max(1, Math.ceil(this.#cooldownLeft() / 1_000)) })
  }

  /** For how long no fetch is allowed, in milliseconds. */
  #cooldownLeft(): number {
    return this.#triedAt + this.#cooldown - performance.now()
  }

  async #lookUp(header: { alg: string; kid?: string }): Promise<KeyObject[]> {
    try {
      const key = await this.#keys?.(header)
      return key ? [this.#toKeyObject(key)] : []
    } catch (err) {
      if (err instanceof errors.JWKSNoMatchingKey) return []
      const keys: KeyObject[] = []
      if (err instanceof errors.JWKSMultipleMatchingKeys) {
        for await (const key of err) if (keys.push(this.#toKeyObject(key)) === MAX_CANDIDATES) break
      }
      if (keys.length > 0) return keys
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
    createLocalJWKSet(set) // throws when it is no set
    const weak = set.keys.filter(isWeak)
    const usable = set.keys.filter((key) => PUBLIC_KEYS.includes(key.kty ?? '') && !weak.includes(key))
    if (usable.length === 0) throw new Error(`the key server has no public keys that can be used${weak.length === 0 ? '' : ': its RSA keys have fewer than 2,048 bits'}`) // an empty set would lock everybody out
    if (weak.length > 0) this.#options.onWeakKeys?.(weak.map(({ kid }) => kid))
    const withdrawn = this.#kids
    this.#keys = createLocalJWKSet({ keys: usable.map(withEitherName) })
    this.#kids = new Set(set.keys.flatMap(({ kid }) => kid ?? []))
    this.#weakKids = new Set(weak.flatMap(({ kid }) => kid ?? []))
    // This fetch has answered for keys that are withdrawn: their absence is final.
    for (const kid of withdrawn) if (!this.#kids.has(kid)) this.#askedAt.set(`kid ${kid}`, -Infinity)
    if (this.#text !== '') this.#options.onChange?.()
    this.#text = text
  }
}

function isWeak(key: JWK): boolean {
  if (key.kty !== 'RSA') return false
  try {
    return isWeakRsa(createPublicKey({ key: key as JsonWebKey, format: 'jwk' }))
  } catch {
    return false // jose says what is wrong with it to the token that asks for it
  }
}

/** Drops the algorithm's name from an Ed25519 key, since tokens call it EdDSA or Ed25519 (RFC 9864, 2.2). Its curve says the same. */
function withEitherName(key: JWK): JWK {
  if (key.crv !== 'Ed25519' || (key.alg !== 'EdDSA' && key.alg !== 'Ed25519')) return key
  const { ...named } = key
  delete named.alg
  return named
}
