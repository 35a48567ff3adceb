/**
 * Public keys that a key server publishes as a JSON Web Key Set (RFC 7517) and replaces from time to time. jose selects
 * the keys that may have signed a token. This file decides when to fetch the set: an outage of the key server must not
 * lock out tokens of known keys, and tokens with invented keys must not flood the key server with requests. This file
 * also decides whether the refusal of a token that matches no key is final: the key may be newer than the set.
 */
import { createHash, createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import type * as Jose from 'jose'
import type { JWK, LocalJWKSet } from 'jose'
import { LRUCache } from 'lru-cache'
import { Problem } from '../errors.js'
import { isWeakRsa } from './keys.js'

/** How long a set is used before it is fetched again in the background, in milliseconds. */
const MAX_AGE = 600_000
/** The minimum time between two fetches, in milliseconds. */
const COOLDOWN = 5_000
/** The time limit of a fetch, in milliseconds. */
const TIMEOUT = 5_000
/** The kinds of keys that have a public half (RFC 7518, 6.1; RFC 8037). */
const PUBLIC_KEYS = ['RSA', 'EC', 'OKP']
/** The maximum length of a key's name. Real names are hashes, dates or URLs; a longer name is an attack. */
const KID_MAX_LENGTH = 256
/** How many keys are tried for one token. A set with key rotation holds two or three keys of a kind. */
const MAX_CANDIDATES = 20
/** How many tokens without a matching key are remembered. */
const MAX_UNFIT = 2_000
/** How long such a token is remembered, in milliseconds. Clients retry sooner: after the cool-down. */
const UNFIT_AGE = 60_000

/** The members of a token's header that select its key. */
export interface KeyHeader {
  alg: string
  kid?: unknown
}

export interface KeySetOptions {
  /** Called with the error when fetches begin to fail, and with `undefined` when they succeed again. */
  onHealth?: ((err: Error | undefined) => void) | undefined
  /** Called when the keys have changed. Tokens verified before may have used a key that is withdrawn now. */
  onChange?: (() => void) | undefined
  /** Called with the names of RSA keys that are too short to be used, once when a set first has them. */
  onWeakKeys?: ((kids: (string | undefined)[]) => void) | undefined
  /** Called with the names of keys that are malformed or private, once when a set first has them. */
  onBrokenKeys?: ((kids: (string | undefined)[]) => void) | undefined
  /** In milliseconds. */
  cooldown?: number
  /** In milliseconds. */
  maxAge?: number
}

export class KeySet {
  readonly #url: string
  readonly #options: KeySetOptions
  /** Keys as Node's objects, by jose's objects. */
  readonly #objects = new WeakMap<object, KeyObject>()
  /** jose, which is loaded with the first set: a hub without a key server starts sooner. */
  #jose: typeof Jose | undefined
  #keys: LocalJWKSet | undefined
  /** The number of usable keys in the set. */
  #usable = 0
  /** Keys of the set that are not usable. */
  #weak: readonly JWK[] = []
  #broken: readonly JWK[] = []
  /** When each token without a matching key was first presented, by its hash, on the clock of `performance.now()`. */
  readonly #presentedAt = new LRUCache<string, number>({ max: MAX_UNFIT, ttl: UNFIT_AGE })
  #text = ''
  #fetching: Promise<void> | undefined
  /** When the last fetch ended, on the clock of `performance.now()`. */
  #triedAt = -Infinity
  /** When the last successful fetch began, and when it ended. */
  #askedAt = -Infinity
  #fetchedAt = -Infinity
  #failure: Error | undefined

  constructor(url: string, options: KeySetOptions = {}) {
    this.#url = url
    this.#options = options
  }

  /** Fetches the set, unless the cool-down of the last fetch still lasts. Errors go to `onHealth`. */
  refresh(): Promise<void> {
    if (this.#fetching) return this.#fetching
    if (this.#cooldownLeft() > 0) return Promise.resolve()
    return (this.#fetching = this.#fetch().finally(() => {
      this.#triedAt = performance.now()
      this.#fetching = undefined
    }))
  }

  /**
   * Returns the known public keys that match the `kid` and `alg` of a token's header. These are several if the header
   * has no `kid`, or if the set has two keys with one name. The same key of the same set is the same object. Waits for
   * the first fetch only.
   * @throws Problem `malformed-token` for an invalid `kid`
   */
  async find({ alg, kid }: KeyHeader): Promise<KeyObject[]> {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > KID_MAX_LENGTH)) {
      throw new Problem(
        'malformed-token',
        `The "kid" in the token's header must be a string of 1 to ${KID_MAX_LENGTH} characters.`,
      )
    }
    if (performance.now() - this.#fetchedAt > (this.#options.maxAge ?? MAX_AGE)) {
      const refreshing = this.refresh()
      if (!this.#keys) await refreshing // otherwise known keys stay usable during the fetch
    }
    return this.#lookUp(kid === undefined ? { alg } : { alg, kid })
  }

  /**
   * Returns the refusal of a token that matches no known key. The refusal is final if the set was fetched after the
   * token was first presented. Otherwise it is temporary, since the key may be newer than the set.
   * @param presentedAt the time of this request, taken before `find`, on the clock of `performance.now()`
   */
  refusalOf(token: string, header: KeyHeader, presentedAt: number): Problem {
    const hash = createHash('sha256').update(token).digest('base64')
    const first = this.#presentedAt.get(hash)
    if (first === undefined) this.#presentedAt.set(hash, presentedAt)
    if ((first ?? presentedAt) <= this.#askedAt) return new Problem('invalid-signature', this.#misfit(header))
    if (this.#failure)
      return this.#notNow(
        "The hub does not know the token's key yet, and cannot reach the key server (FANFARE_JWKS_URL).",
        this.#failure,
      )
    return this.#notNow(
      "The hub does not know the token's key yet, and has asked the key server (FANFARE_JWKS_URL) only a moment ago.",
    )
  }

  /** Returns the reason why a token matches no key of the set. */
  #misfit({ alg, kid }: KeyHeader): string {
    const isNamed = (key: JWK): boolean => kid !== undefined && key.kid === kid
    if (this.#weak.some(isNamed))
      return "The token's key is an RSA key of fewer than 2,048 bits, which is too short to sign tokens (RFC 7518, 3.3)."
    if (this.#broken.some(isNamed))
      return 'The key server (FANFARE_JWKS_URL) has a key with the token\'s "kid", but the hub does not use it: the key is malformed or private.'
    if (this.#usable > MAX_CANDIDATES)
      return `The token's signature matches none of the first ${MAX_CANDIDATES} keys of the key server (FANFARE_JWKS_URL), which has ${this.#usable}. Give each key its own "kid", and name it in the header of the token.`
    return `The token's signature matches no key of the key server (FANFARE_JWKS_URL) ${kid === undefined ? '' : 'with the token\'s "kid" '}for ${alg}: the token was signed with another key, or was changed.`
  }

  #notNow(words: string, cause?: unknown): Problem {
    return new Problem(
      'keys-unavailable',
      words,
      {},
      { cause, retryAfter: Math.max(1, Math.ceil(this.#cooldownLeft() / 1_000)) },
    )
  }

  /** The rest of the cool-down, in milliseconds. */
  #cooldownLeft(): number {
    return this.#triedAt + (this.#options.cooldown ?? COOLDOWN) - performance.now()
  }

  async #lookUp(header: { alg: string; kid?: string }): Promise<KeyObject[]> {
    try {
      const key = await this.#keys?.(header)
      return key ? [this.#toKeyObject(key)] : []
    } catch (err) {
      const { JWKSMultipleMatchingKeys, JWKSNoMatchingKey } = this.#jose!.errors
      if (err instanceof JWKSNoMatchingKey) return []
      const keys: KeyObject[] = []
      if (err instanceof JWKSMultipleMatchingKeys) {
        for await (const key of err) if (keys.push(this.#toKeyObject(key)) === MAX_CANDIDATES) break
      }
      return keys // empty if jose cannot read the only matching key
    }
  }

  #toKeyObject(key: Awaited<ReturnType<LocalJWKSet>>): KeyObject {
    let object = this.#objects.get(key)
    if (!object) this.#objects.set(key, (object = KeyObject.from(key)))
    return object
  }

  async #fetch(): Promise<void> {
    const askedAt = performance.now()
    try {
      const response = await fetch(this.#url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`the key server answered ${response.status}`)
      this.#jose ??= await import('jose')
      if (text !== this.#text) this.#replace(text, this.#jose)
      this.#askedAt = askedAt
      this.#fetchedAt = performance.now()
      if (this.#failure) this.#options.onHealth?.(undefined)
      this.#failure = undefined
    } catch (err) {
      const known = this.#failure
      this.#failure = err instanceof Error ? err : new Error(String(err))
      if (!known) this.#options.onHealth?.(this.#failure)
    }
  }

  #replace(text: string, { createLocalJWKSet }: typeof Jose): void {
    const keys = readKeys(JSON.parse(text))
    const publicKeys = keys.filter(({ kty = '' }) => PUBLIC_KEYS.includes(kty))
    const broken = [
      ...keys.filter((key) => Object.keys(key).length === 0),
      ...publicKeys.filter((key) => toPublicKey(key) === undefined),
    ]
    const weak = publicKeys.filter(isWeak)
    const usable = publicKeys.filter((key) => !broken.includes(key) && !weak.includes(key))
    if (usable.length === 0)
      // an empty set would lock out every token
      throw new Error(`the key server has no usable public keys${whyNone(weak, broken)}`)
    reportNew(weak, this.#weak, this.#options.onWeakKeys)
    reportNew(broken, this.#broken, this.#options.onBrokenKeys)
    this.#keys = createLocalJWKSet({ keys: usable.map(withEitherName) })
    this.#usable = usable.length
    this.#weak = weak
    this.#broken = broken
    if (this.#text !== '') this.#options.onChange?.()
    this.#text = text
  }
}

/**
 * Returns the keys of a set (RFC 7517, 5). An item that is not an object becomes a key without members, so that the
 * other keys stay usable.
 * @throws Error for a value that is not a key set
 */
function readKeys(set: unknown): JWK[] {
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(keys)) throw new Error('the answer of the key server is not a key set')
  return keys.map((key: unknown) =>
    typeof key === 'object' && key !== null && !Array.isArray(key) ? (key as JWK) : {},
  )
}

/** Returns a key of a set as Node's object; `undefined` if the key is malformed or private. */
function toPublicKey(key: JWK): KeyObject | undefined {
  if ('d' in key) return undefined
  try {
    return createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
  } catch {
    return undefined
  }
}

function isWeak(key: JWK): boolean {
  const publicKey = toPublicKey(key)
  return publicKey !== undefined && isWeakRsa(publicKey)
}

function whyNone(weak: JWK[], broken: JWK[]): string {
  if (broken.length > 0) return ': its keys are malformed, private, or RSA keys of fewer than 2,048 bits'
  return weak.length > 0 ? ': its RSA keys have fewer than 2,048 bits' : ''
}

/** Reports the names of unusable keys that the previous set did not have. */
function reportNew(keys: JWK[], before: readonly JWK[], report: KeySetOptions['onWeakKeys']): void {
  const known = new Set(before.map((key) => JSON.stringify(key)))
  const added = keys.filter((key) => !known.has(JSON.stringify(key)))
  if (added.length > 0) report?.(added.map(({ kid }) => kid))
}

/**
 * Drops the algorithm's name from an Ed25519 key, since tokens call the algorithm EdDSA or Ed25519 (RFC 9864, 2.2). The
 * curve of the key is enough.
 */
function withEitherName(key: JWK): JWK {
  if (key.crv !== 'Ed25519' || (key.alg !== 'EdDSA' && key.alg !== 'Ed25519')) return key
  const { ...named } = key
  delete named.alg
  return named
}
