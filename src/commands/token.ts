/**
 * `fanfare token`: issues a token, or explains what a token allows and whether a hub with these settings accepts it.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSigner } from 'fast-jwt'
import { fromSecret, isWeakRsa } from '../auth/keys.js'
import { isDeeper, MAX_DEPTH } from '../model/json.js'
import { resolveGrant } from '../model/topic.js'
import { SettingsError } from '../model/settings-error.js'
import { loadSettings, type Settings } from '../settings.js'
import { parseDuration } from '../model/units.js'
import { UsageError, type Process } from './command.js'

/** The options of the command, by the names of `local-commands.ts`. */
export interface TokenOptions {
  sub?: string | undefined
  subscribe?: string[] | undefined
  publish?: string[] | undefined
  presence?: string[] | undefined
  admin?: boolean | undefined
  info?: string | undefined
  expires?: string | undefined
  jti?: string | undefined
  issuer?: string | undefined
  audience?: string | undefined
  kid?: string | undefined
  secretFile?: string | undefined
  keyFile?: string | undefined
  explain?: string | undefined
}

/** Prints a token, or with `--explain` an explanation. The exit code is 1 if a hub would refuse the explained token. */
export async function token(values: TokenOptions, process: Process): Promise<void> {
  const { hub } = loadSettings(process.env)
  if (values.explain === undefined) process.stdout.write(`${make(values, hub)}\n`)
  else if (Object.keys(values).length > 1) throw new UsageError('--explain cannot be combined with other options.')
  else {
    // loads the verifier only if needed
    const [{ explain }, { withStoredSecret }] = await Promise.all([import('./explain.js'), import('./dev-banner.js')])
    const { lines, accepted } = await explain(
      values.explain === '-' ? await readAll(process.stdin) : values.explain,
      withStoredSecret(hub, process.env),
    )
    for (const line of lines) process.stdout.write(`${line}\n`)
    if (!accepted) process.exitCode = 1
  }
}

function make(values: TokenOptions, settings: Settings): string {
  const { sub } = values
  const grants = {
    ...grantsOf('subscribe', values.subscribe, sub),
    ...grantsOf('publish', values.publish, sub),
    ...grantsOf('presence', values.presence, sub),
    ...(values.admin ? { admin: true } : {}),
    ...(values.info === undefined ? {} : { info: readInfo(values.info) }),
  }
  const claims = {
    iss: values.issuer ?? settings.jwtIssuer,
    aud: values.audience ?? settings.jwtAudience,
    sub,
    jti: values.jti,
    exp: values.expires === undefined ? undefined : Math.floor((Date.now() + readDuration(values.expires)) / 1_000),
    [settings.jwtClaim]: grants,
  }
  const header = values.kid === undefined ? {} : { kid: values.kid }
  try {
    // JSON drops members that are undefined
    return createSigner({ ...signingKey(values, settings), ...header })(JSON.parse(JSON.stringify(claims)) as object)
  } catch (err) {
    if (err instanceof UsageError || err instanceof SettingsError) throw err
    throw new SettingsError(`The key cannot sign a token: ${err instanceof Error ? err.message : String(err)}`, {
      cause: err,
    })
  }
}

/** Reads the grants of an option, separated by commas. Refuses grants that a hub would refuse or that would be void. */
function grantsOf(action: string, given: string[] | undefined, sub: string | undefined): Record<string, string[]> {
  const grants = (given ?? [])
    .flatMap((text) => text.split(','))
    .map((grant) => grant.trim())
    .filter((grant) => grant !== '')
  for (const grant of grants) {
    if (resolveGrant(grant, 'subject') === undefined)
      throw new UsageError(`--${action}: ${JSON.stringify(grant)} is neither a topic nor a pattern.`)
    if (resolveGrant(grant, sub) === undefined)
      throw new UsageError(
        `--${action}: ${JSON.stringify(grant)} is void without a --sub that is a single segment of a topic.`,
      )
  }
  return grants.length === 0 ? {} : { [action]: grants }
}

function readInfo(text: string): unknown {
  if (isDeeper(text, MAX_DEPTH))
    throw new UsageError(`--info is nested deeper than ${MAX_DEPTH} levels of arrays and objects.`)
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new UsageError(`--info must be JSON: ${err instanceof Error ? err.message : String(err)}`)
  }
}

function readDuration(text: string): number {
  const duration = parseDuration(text)
  if (duration === undefined) throw new UsageError('--expires must be a duration such as 15m, 1h or 30d.')
  return duration
}

/** Returns the key to sign with. The kind of key determines the algorithm, as in verification. */
function signingKey(values: TokenOptions, { jwtSecret }: Settings): { key: string; algorithm?: 'HS256' } {
  const [keyFile, secretFile] = [values.keyFile, values.secretFile]
  if (keyFile !== undefined && secretFile !== undefined)
    throw new UsageError('Use either --secret-file or --key-file, not both.')
  if (keyFile !== undefined) return { key: readPrivateKey(keyFile) }
  const secret = secretFile === undefined ? jwtSecret : readFile(secretFile).replace(/\r?\n$/, '')
  if (secret === undefined || secret === '')
    throw new SettingsError(
      'No key to sign with: set FANFARE_JWT_SECRET, or name a file with --secret-file (a secret) or --key-file (a private key in PEM).',
    )
  return { key: fromSecret(secret).key, algorithm: 'HS256' }
}

function readPrivateKey(path: string): string {
  const pem = readFile(path)
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (err) {
    throw new SettingsError(
      `${path} is not a private key in PEM ("-----BEGIN PRIVATE KEY-----") without a passphrase.`,
      { cause: err },
    )
  }
  if (isWeakRsa(key))
    throw new SettingsError(
      `${path} holds an RSA key of fewer than 2,048 bits: no hub accepts its tokens (RFC 7518, 3.3).`,
    )
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (err) {
    throw new SettingsError(`${path} cannot be read: ${err instanceof Error ? err.message : String(err)}`, {
      cause: err,
    })
  }
}

async function readAll(stdin: Process['stdin']): Promise<string> {
  let text = ''
  for await (const chunk of stdin) text += String(chunk)
  return text
}
