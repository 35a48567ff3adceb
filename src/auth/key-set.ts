/**
 * Public keys that a key server publishes as a JSON Web Key Set (RFC 7517) and replaces now and then. jose finds the
 * keys that a token may be signed with. This file decides when the set is fetched: an outage of the key server must not
 * lock out tokens of known keys, and tokens with made-up keys must not become a flood of requests to it. It also
 * decides whether the refusal of a token that fits no key is final: the key may be newer than the set.
 */
import { createHash, createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import { createLocalJWKSet, errors, type JWK, type LocalJWKSet } from 'jose'
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
/** How many tokens are remembered that fit no key. */
const MAX_UNFIT = 2_000
/** For how long, in milliseconds: longer than a client waits that is to come back after the cool-down. */
const UNFIT_AGE = 60_000

/** What a token's header says of its key. */
export interface KeyHeader {
  alg: string
  kid?: unknown
}

export interface KeySetOptions {
  /** Told when the set could not be fetched, and when it can be again. */
  onHealth?: ((err: Error | undefined) => void) | undefined
  /**
   * Told when there are other keys than before: what was verified with the old ones may have been so with one that is
   * gone.
   */
  onChange?: (() => void) | undefined
  /**
   * Told when a set has RSA keys that are too short to be used and that the set before did not have, with their names.
   */
  onWeakKeys?: ((kids: (string | undefined)[]) => void) | undefined
  /** Told when a set has keys that are malformed or private and that the set before did not have, with their names. */
  onBrokenKeys?: ((kids: (string | undefined)[]) => void) | undefined
  /** In milliseconds. */
  cooldown?: number
  /** In milliseconds. */
  maxAge?: number
}

export class KeySet {
  readonly #url: string
  readonly #options: KeySetOptions
  /** Keys as Node has them, by what jose gives. */
  readonly #objects = new WeakMap<object, KeyObject>()
  #keys: LocalJWKSet | undefined
  /** How many keys of the set are used. */
  #usable = 0
  /** Keys of the set that are not used. */
  #weak: readonly JWK[] = []
  #broken: readonly JWK[] = []
  /** When each token that fits no key was first presented, by its hash, on the clock of `performance.now()`. */
  readonly #presentedAt = new LRUCache<string, number>({ max: MAX_UNFIT, ttl: UNFIT_AGE })
  #text = ''
  #fetching: Promise<void> | undefined
  /** When the last fetch ended, on the clock of `performance.now()`. */
  #triedAt = -Infinity
  /** When the last fetch that succeeded began, and when it ended. */
  #askedAt = -Infinity
  #fetchedAt = -Infinity
  #failure: Error | undefined

  constructor(url: string, options: KeySetOptions = {}) {
    this.#url = url
    this.#options = options
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
   * Returns the known public keys that a token's header asks for by its `kid` and `alg`: one, or several where the
   * header names none or the set has a name twice. The same key of the same set is the same object. Waits for the first
   * fetch only.
   * @throws Problem `malformed-token`: a `kid` that cannot be one
   */
  async find({ alg, kid }: KeyHeader): Promise<KeyObject[]> {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > KID_MAX_LENGTH)) {
      throw new Problem(
        'malformed-token',
        `The "kid" in the token's header has to be a string of 1 to ${KID_MAX_LENGTH} characters.`,
      )
    }
    if (performance.now() - this.#fetchedAt > (this.#options.maxAge ?? MAX_AGE)) {
      const refreshing = this.refresh()
      if (!this.#keys) await refreshing // else in the background: known keys are good meanwhile
    }
    return this.#lookUp(kid === undefined ? { alg } : { alg, kid })
  }

  /**
   * Returns the refusal of a token that fits no known key. It is final when the set was fetched after the token was
   * first presented. Otherwise it is temporary, since the key may be newer than the set.
   * @param presentedAt when the token was presented this time, on the clock of `performance.now()`, before `find`
   */
  refusalOf(token: string, header: KeyHeader, presentedAt: number): Problem {
    const hash = createHash('sha256').update(token).digest('base64')
    const first = this.#presentedAt.get(hash)
    if (first === undefined) this.#presentedAt.set(hash, presentedAt)
    if ((first ?? presentedAt) <= this.#askedAt) return new Problem('invalid-signature', this.#misfit(header))
    if (this.#failure)
      return this.#notNow(
        "The token's key is not known yet, and the key server (FANFARE_JWKS_URL) cannot be reached.",
        this.#failure,
      )
    return this.#notNow(
      "The token's key is not known yet, and the key server (FANFARE_JWKS_URL) was asked a moment ago.",
    )
  }

  /** Says why a token fits no key of the set. */
  #misfit({ alg, kid }: KeyHeader): string {
    const isNamed = (key: JWK): boolean => kid !== undefined && key.kid === kid
    if (this.#weak.some(isNamed))
      return "The token's key is RSA of fewer than 2,048 bits, which no token may be signed with (RFC 7518, 3.3)."
    if (this.#broken.some(isNamed))
      return 'The key of the key server (FANFARE_JWKS_URL) with the token\'s "kid" is malformed or private, and is not used.'
    if (this.#usable > MAX_CANDIDATES)
      return `The token's signature fits none of the ${MAX_CANDIDATES} keys that are tried, and the key server (FANFARE_JWKS_URL) has ${this.#usable}: give each key a "kid" of its own, and name it in the token.`
    return `The token's signature fits no key of the key server (FANFARE_JWKS_URL) ${kid === undefined ? '' : 'with the token\'s "kid" '}for ${alg}: it was signed with another key, or changed.`
  }

  #notNow(words: string, cause?: unknown): Problem {
    return new Problem(
      'keys-unavailable',
      words,
      {},
      { cause, retryAfter: Math.max(1, Math.ceil(this.#cooldownLeft() / 1_000)) },
    )
  }

  /** For how long no fetch is allowed, in milliseconds. */
  #cooldownLeft(): number {
    return this.#triedAt + (this.#options.cooldown ?? COOLDOWN) - performance.now()
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
      return keys // none where jose cannot read the only key that fits: it is as good as missing
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
      if (text !== this.#text) this.#replace(text)
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

  #replace(text: string): void {
    const keys = readKeys(JSON.parse(text))
    const publicKeys = keys.filter(({ kty = '' }) => PUBLIC_KEYS.includes(kty))
    const broken = [
      ...keys.filter((key) => Object.keys(key).length === 0),
      ...publicKeys.filter((key) => toPublicKey(key) === undefined),
    ]
    const weak = publicKeys.filter(isWeak)
    const usable = publicKeys.filter((key) => !broken.includes(key) && !weak.includes(key))
    if (usable.length === 0)
      // an empty set would lock everybody out
      throw new Error(`the key server has no public keys that can be used${whyNone(weak, broken)}`)
    tellOfNew(weak, this.#weak, this.#options.onWeakKeys)
    tellOfNew(broken, this.#broken, this.#options.onBrokenKeys)
    this.#keys = createLocalJWKSet({ keys: usable.map(withEitherName) })
    this.#usable = usable.length
    this.#weak = weak
    this.#broken = broken
    if (this.#text !== '') this.#options.onChange?.()
    this.#text = text
  }
}

/**
 * Returns the keys of a set (RFC 7517, 5). An item that is no object becomes a key without members: it must not keep
 * the others from being used.
 * @throws Error when it is no set
 */
function readKeys(set: unknown): JWK[] {
  const keys = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined
  if (!Array.isArray(keys)) throw new Error('the key server answered what is no key set')
  return keys.map((key: unknown) =>
    typeof key === 'object' && key !== null && !Array.isArray(key) ? (key as JWK) : {},
  )
}

/** Returns a public key of a set; `undefined` when it is malformed or private. */
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
  if (broken.length > 0) return ': its keys are malformed or private, or RSA of fewer than 2,048 bits'
  return weak.length > 0 ? ': its RSA keys have fewer than 2,048 bits' : ''
}

/** Tells of keys that are left out, unless the set before had them. */
function tellOfNew(keys: JWK[], before: readonly JWK[], tell: KeySetOptions['onWeakKeys']): void {
  const known = new Set(before.map((key) => JSON.stringify(key)))
  const added = keys.filter((key) => !known.has(JSON.stringify(key)))
  if (added.length > 0) tell?.(added.map(({ kid }) => kid))
}

/**
 * Drops the algorithm's name from an Ed25519 key, since tokens call it EdDSA or Ed25519 (RFC 9864, 2.2). Its curve says
 * the same.
 */
function withEitherName(key: JWK): JWK {
  if (key.crv !== 'Ed25519' || (key.alg !== 'EdDSA' && key.alg !== 'Ed25519')) return key
  const { ...named } = key
  delete named.alg
  return named
}
