/**
 * Verifies tokens: signature, times, issuer, audience. The key decides which algorithm is right; the token has no say
 * in it.
 */
import type { KeyObject } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { createDecoder, createVerifier, type Algorithm, type VerifierOptions } from 'fast-jwt'
import { Problem, type ProblemCode } from '../errors.js'
import { SettingsError } from '../model/settings-error.js'
import type { Settings } from '../settings.js'
import { KeySet, type KeySetOptions } from './key-set.js'
import { fromKeyObject, fromPublicKey, fromSecret, type SignatureAlgorithm, type VerificationKey } from './keys.js'
import { isTicketType } from './tickets.js'

/** The claims of a token that has been verified. */
export type TokenClaims = Record<string, unknown>

export type VerifierSettings = Pick<
  Settings,
  'jwtSecret' | 'jwtPublicKey' | 'jwksUrl' | 'jwtIssuer' | 'jwtAudience' | 'clockTolerance'
>

/** What the JWT library's codes are called here. */
const CODES: Record<string, [ProblemCode, string]> = {
  FAST_JWT_EXPIRED: ['expired-token', 'The token has expired: its "exp" is in the past.'],
  FAST_JWT_INACTIVE: ['inactive-token', 'The token is not valid yet: its "nbf" is in the future.'],
  FAST_JWT_INVALID_ALGORITHM: [
    'invalid-algorithm',
    'The token is signed with another algorithm than the key of this hub is for.',
  ],
  FAST_JWT_INVALID_KEY: [
    'invalid-algorithm',
    'The token is signed with another algorithm than the key of this hub is for.',
  ],
  FAST_JWT_INVALID_SIGNATURE: [
    'invalid-signature',
    'The signature does not fit: the token was signed with another key, or changed.',
  ],
  FAST_JWT_VERIFY_ERROR: ['invalid-signature', 'The signature does not have the form that its algorithm asks for.'],
  FAST_JWT_MISSING_SIGNATURE: ['invalid-algorithm', 'The token is not signed.'],
  FAST_JWT_MALFORMED: ['malformed-token', 'The token is not a JSON Web Token.'],
  FAST_JWT_INVALID_TYPE: ['malformed-token', 'The token is not a JSON Web Token.'],
}

/** The codes that say that a token is signed with another key. */
const OTHER_KEY = ['FAST_JWT_INVALID_SIGNATURE', 'FAST_JWT_VERIFY_ERROR']

type VerifyWithKey = (token: string) => TokenClaims
/** Makes a verifier for a key and what is asked of the claims. */
export type CreateVerifier = (
  options: Partial<VerifierOptions> & { key: string; algorithms: Algorithm[] },
) => VerifyWithKey

export class TokenVerifier {
  readonly #createVerifier: CreateVerifier
  readonly #checks: Partial<VerifierOptions>
  readonly #fixed: VerifyWithKey | undefined
  readonly #keySet: KeySet | undefined
  readonly #byKey = new WeakMap<KeyObject, VerifyWithKey>()
  readonly #decode = createDecoder({ complete: true }) as (token: string) => { header: Record<string, unknown> }

  /** @throws SettingsError when there is no key, or one that is of no use */
  constructor(
    settings: VerifierSettings,
    create: CreateVerifier = createVerifier as CreateVerifier,
    keySetOptions?: KeySetOptions,
  ) {
    this.#createVerifier = create
    this.#checks = claimChecks(settings)
    const key = keyOf(settings)
    if (key) this.#fixed = this.#withKey(key)
    else this.#keySet = new KeySet(requireUrl(settings.jwksUrl), keySetOptions)
  }

  /** Fetches keys that are published elsewhere, so that the first token need not wait for them. */
  async prepare(): Promise<void> {
    await this.#keySet?.refresh()
  }

  /**
   * Checks a token.
   * @throws Problem saying what is wrong with it
   */
  async verify(token: string): Promise<TokenClaims> {
    try {
      const { header } = this.#decode(token)
      if (isTicketType(header.typ))
        throw new Problem(
          'invalid-ticket',
          'This is a ticket, which is no token: it stands in the query of a stream, as "ticket".',
        )
      return this.#fixed ? this.#fixed(token) : await this.#verifyWithPublished(token, header)
    } catch (err) {
      if (err instanceof Problem) throw err
      const [problem, words] = CODES[codeOf(err)] ?? [
        'invalid-claims',
        `The token is not accepted: ${err instanceof Error ? err.message : String(err)}`,
      ]
      throw new Problem(problem, words, {}, { cause: err })
    }
  }

  async #verifyWithPublished(token: string, { alg, kid }: Record<string, unknown>): Promise<TokenClaims> {
    if (!isPublishedAlgorithm(alg))
      throw new Problem(
        'invalid-algorithm',
        'The token is not signed with a private key whose public half the hub could fetch.',
      )
    const keySet = this.#keySet!
    const header = { alg, kid }
    const presentedAt = performance.now()
    const keys = await keySet.find(header)
    const claims = await this.#tryEach(keys, alg, token)
    if (claims) return claims
    await keySet.refresh() // keys are replaced, also by others of the same name: it may be a new one
    const newer = (await keySet.find(header)).filter((key) => !keys.includes(key))
    const newerClaims = await this.#tryEach(newer, alg, token)
    if (newerClaims) return newerClaims
    throw keySet.refusalOf(token, header, presentedAt)
  }

  /**
   * Verifies a token with each of the keys that it may be signed with (RFC 7515, appendix D), one a turn of the event
   * loop.
   * @returns `undefined` when its signature fits none
   */
  async #tryEach(keys: KeyObject[], alg: SignatureAlgorithm, token: string): Promise<TokenClaims | undefined> {
    for (const [index, key] of keys.entries()) {
      if (index > 0) await turn()
      try {
        return this.#verifierOf(key, alg)(token)
      } catch (err) {
        if (!OTHER_KEY.includes(codeOf(err))) throw err
      }
    }
    return undefined
  }

  #verifierOf(key: KeyObject, alg: SignatureAlgorithm): VerifyWithKey {
    let verify = this.#byKey.get(key)
    // jose gives an RSA key that names no algorithm as another object for each, so the token's is that of the key
    if (!verify) this.#byKey.set(key, (verify = this.#withKey(fromKeyObject(key, alg))))
    return verify
  }

  #withKey({ key, algorithms }: VerificationKey): VerifyWithKey {
    return this.#createVerifier({ ...this.#checks, key, algorithms: algorithms as Algorithm[] })
  }
}

/**
 * The algorithms of RFC 7518, 3.1, RFC 8037 and RFC 9864 that are not symmetric, and that jose finds keys for: not
 * Ed448.
 */
const PUBLISHED_ALGORITHMS: ReadonlySet<unknown> = new Set<SignatureAlgorithm>([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
])

function isPublishedAlgorithm(alg: unknown): alg is SignatureAlgorithm {
  return PUBLISHED_ALGORITHMS.has(alg)
}

function codeOf(err: unknown): string {
  return err instanceof Error && 'code' in err ? String(err.code) : ''
}

function claimChecks({ jwtIssuer, jwtAudience, clockTolerance }: VerifierSettings): Partial<VerifierOptions> {
  const checks: Partial<VerifierOptions> = { cache: false, clockTolerance }
  const requiredClaims: string[] = [] // what is only allowed may be missing
  if (jwtIssuer !== undefined) {
    checks.allowedIss = jwtIssuer
    requiredClaims.push('iss')
  }
  if (jwtAudience !== undefined) {
    checks.allowedAud = jwtAudience
    requiredClaims.push('aud')
  }
  return { ...checks, requiredClaims }
}

function keyOf({ jwtSecret, jwtPublicKey }: VerifierSettings): VerificationKey | undefined {
  if (jwtPublicKey !== undefined) return fromPublicKey(jwtPublicKey)
  return jwtSecret === undefined ? undefined : fromSecret(jwtSecret)
}

function requireUrl(url: string | undefined): string {
  if (url === undefined)
    throw new SettingsError(
      'There is no key to verify tokens with: set FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL (as a plugin: jwtSecret, jwtPublicKey or jwksUrl).',
    )
  return url
}
