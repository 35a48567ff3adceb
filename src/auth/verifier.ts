/**
 * Verifies tokens: signature, times, issuer and audience. The key determines the accepted algorithms, never the token.
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

/** The claims of a verified token. */
export type TokenClaims = Record<string, unknown>

export type VerifierSettings = Pick<
  Settings,
  'jwtSecret' | 'jwtPublicKey' | 'jwksUrl' | 'jwtIssuer' | 'jwtAudience' | 'clockTolerance'
>

/** The refusals for the error codes of fast-jwt. */
const CODES: Record<string, [ProblemCode, string]> = {
  FAST_JWT_EXPIRED: ['expired-token', 'The token has expired: its "exp" is in the past.'],
  FAST_JWT_INACTIVE: ['inactive-token', 'The token is not valid yet: its "nbf" is in the future.'],
  FAST_JWT_INVALID_ALGORITHM: [
    'invalid-algorithm',
    'The token is signed with an algorithm that does not belong to the key of this hub.',
  ],
  FAST_JWT_INVALID_KEY: [
    'invalid-algorithm',
    'The token is signed with an algorithm that does not belong to the key of this hub.',
  ],
  FAST_JWT_INVALID_SIGNATURE: [
    'invalid-signature',
    'The signature does not match: the token was signed with another key, or was changed.',
  ],
  FAST_JWT_VERIFY_ERROR: ['invalid-signature', 'The signature does not have the form that its algorithm requires.'],
  FAST_JWT_MISSING_SIGNATURE: ['invalid-algorithm', 'The token is not signed.'],
  FAST_JWT_MALFORMED: ['malformed-token', 'The token is not a JSON Web Token.'],
  FAST_JWT_INVALID_TYPE: ['malformed-token', 'The token is not a JSON Web Token.'],
}

/** The error codes for a token that is signed with another key. */
const OTHER_KEY = ['FAST_JWT_INVALID_SIGNATURE', 'FAST_JWT_VERIFY_ERROR']

/** Verifies a token with one key, and returns its claims. */
export type VerifyWithKey = (token: string) => TokenClaims
/** A key, its algorithms and the required claims, as fast-jwt takes them. */
export type KeyChecks = Partial<VerifierOptions> & { key: string; algorithms: Algorithm[] }

export class TokenVerifier {
  readonly #checks: Partial<VerifierOptions>
  readonly #fixed: VerifyWithKey | undefined
  readonly #keySet: KeySet | undefined
  readonly #byKey = new WeakMap<KeyObject, VerifyWithKey>()
  readonly #decode = createDecoder({ complete: true }) as (token: string) => { header: Record<string, unknown> }

  /**
   * @param fixed verifies with the key of the settings, if they have one; default: fast-jwt
   * @throws SettingsError if the settings have no key or an unusable key
   */
  constructor(settings: VerifierSettings, fixed?: VerifyWithKey, keySetOptions?: KeySetOptions) {
    this.#checks = claimChecks(settings)
    const checks = fixedKeyChecks(settings)
    if (checks) this.#fixed = fixed ?? createVerifier(checks)
    else this.#keySet = new KeySet(requireUrl(settings.jwksUrl), keySetOptions)
  }

  /** Fetches the key set, if there is one, so that the first token does not wait for it. */
  async prepare(): Promise<void> {
    await this.#keySet?.refresh()
  }

  /**
   * Verifies a token and returns its claims.
   * @throws Problem naming the fault of the token
   */
  async verify(token: string): Promise<TokenClaims> {
    try {
      const { header } = this.#decode(token)
      if (isTicketType(header.typ))
        throw new Problem('invalid-ticket', 'The token is a ticket: send it in the query of a stream, as "ticket".')
      return this.#fixed ? this.#fixed(token) : await this.#verifyWithPublished(token, header)
    } catch (err) {
      if (err instanceof Problem) throw err
      const [problem, words] = CODES[codeOf(err)] ?? [
        'invalid-claims',
        `The hub does not accept the token: ${err instanceof Error ? err.message : String(err)}`,
      ]
      throw new Problem(problem, words, {}, { cause: err })
    }
  }

  async #verifyWithPublished(token: string, { alg, kid }: Record<string, unknown>): Promise<TokenClaims> {
    if (!isPublishedAlgorithm(alg))
      throw new Problem(
        'invalid-algorithm',
        'The token is not signed with an algorithm for which a key set can have a key.',
      )
    const keySet = this.#keySet!
    const header = { alg, kid }
    const presentedAt = performance.now()
    const keys = await keySet.find(header)
    const claims = await this.#tryEach(keys, alg, token)
    if (claims) return claims
    await keySet.refresh() // the key may be new, or may have replaced a key of the same name
    const newer = (await keySet.find(header)).filter((key) => !keys.includes(key))
    const newerClaims = await this.#tryEach(newer, alg, token)
    if (newerClaims) return newerClaims
    throw keySet.refusalOf(token, header, presentedAt)
  }

  /**
   * Verifies a token with each candidate key (RFC 7515, appendix D), one key per turn of the event loop.
   * @returns `undefined` if the signature matches none of the keys
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
    // jose returns a separate object per algorithm for an RSA key that names none, so each object has one algorithm
    if (!verify) this.#byKey.set(key, (verify = createVerifier(withKey(fromKeyObject(key, alg), this.#checks))))
    return verify
  }
}

/**
 * Returns the key of the settings with its checks; `undefined`: the settings name a key set.
 * @throws SettingsError for an unusable key
 */
export function fixedKeyChecks(settings: VerifierSettings): KeyChecks | undefined {
  const key = keyOf(settings)
  return key && withKey(key, claimChecks(settings))
}

function withKey({ key, algorithms }: VerificationKey, checks: Partial<VerifierOptions>): KeyChecks {
  return { ...checks, key, algorithms: algorithms as Algorithm[] }
}

/**
 * The asymmetric algorithms of RFC 7518, 3.1, RFC 8037 and RFC 9864 that jose supports in key sets. It does not support
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
  const requiredClaims: string[] = [] // fast-jwt accepts a missing claim that is only in `allowed…`
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
      'No key to verify tokens is set: set FANFARE_JWT_SECRET, FANFARE_JWT_PUBLIC_KEY or FANFARE_JWKS_URL (as a plugin: jwtSecret, jwtPublicKey or jwksUrl).',
    )
  return url
}
