/** The secret and the banner of a hub that is started without a key: a token, and commands to paste. */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createSigner } from 'fast-jwt'
import type { Process } from './command.js'
import type { Address } from './listen.js'
import { folderOf } from '../log/address.js'
import { makeFolder } from '../log/lmdb/folder.js'
import { DEFAULT_HOST, DEFAULT_PORT } from '../server/listen-address.js'
import type { Settings } from '../settings.js'

/** The file in the log's folder that holds the secret for development. */
export const SECRET_FILE = 'development-secret'
/** 32 bytes in base64url. */
const SECRET = /^[\w-]{43}$/

/** A secret, and a token with all grants. */
export interface DevelopmentKey {
  secret: string
  token: string
  /** Whether the secret is stored for the next start. */
  isKept: boolean
  /** Whether the secret replaces an invalid content of the file. Tokens of an earlier secret are refused then. */
  isReplaced?: boolean
  /** The error of storing the secret. */
  failure?: Error
}

/** Whether the settings have one of the keys for tokens. */
export function hasKey({ jwtSecret, jwtPublicKey, jwksUrl }: Settings): boolean {
  return [jwtSecret, jwtPublicKey, jwksUrl].some((key) => key !== undefined)
}

/** Whether a hub without a key may use a secret for development. */
export function allowsDevelopmentKey({ NODE_ENV }: Process['env']): boolean {
  return NODE_ENV !== 'production'
}

/**
 * Returns the settings with which a hub verifies tokens. They have the stored secret for development if the hub would
 * use that secret. Creates no secret and no folder.
 */
export function withStoredSecret(settings: Settings, env: Process['env']): Settings {
  const folder = folderOf(settings.log)
  if (hasKey(settings) || !allowsDevelopmentKey(env) || folder === undefined) return settings
  try {
    const { secret } = readStored(join(folder, SECRET_FILE))
    return secret === undefined ? settings : { ...settings, jwtSecret: secret }
  } catch {
    return settings // a hub that cannot read the file draws a secret for its run
  }
}

/**
 * Returns a token with all grants for a hub that was started without a key and keeps its log in a folder; `undefined`
 * if the folder has no secret for development, or if such a secret is not allowed. Creates nothing.
 */
export function developmentToken(folder: string | undefined, env: Process['env']): string | undefined {
  if (folder === undefined || !allowsDevelopmentKey(env)) return undefined
  const { secret } = readStored(join(folder, SECRET_FILE))
  return secret === undefined ? undefined : withToken(secret, { isKept: true }).token
}

/**
 * Reads the secret of an earlier start from a folder, or draws a new secret and stores it, readable by its user only.
 * @param folder the folder of the log. If it is `undefined` or not writable, the secret is for this run only
 */
export function developmentKey(folder: string | undefined): DevelopmentKey {
  const drawn = randomBytes(32).toString('base64url')
  if (folder === undefined) return withToken(drawn, { isKept: false })
  try {
    const { secret, isReplaced } = keepSecret(folder, drawn)
    return withToken(secret, { isKept: true, isReplaced })
  } catch (err) {
    return withToken(drawn, { isKept: false, failure: err as Error })
  }
}

/** Returns the secret in a folder. If the folder has no valid secret, stores and returns `drawn`. */
function keepSecret(folder: string, drawn: string): { secret: string; isReplaced: boolean } {
  const file = join(folder, SECRET_FILE)
  const { secret, exists } = readStored(file)
  if (secret !== undefined) return { secret, isReplaced: false }
  makeFolder(folder)
  const written = `${file}-${process.pid}` // renamed when complete, so that a killed process leaves no half secret
  try {
    writeFileSync(written, `${drawn}\n`, { mode: 0o600, flag: 'w', flush: true })
    if (exists) renameSync(written, file)
    else linkSync(written, file)
    return { secret: drawn, isReplaced: exists }
  } catch (err) {
    const theirs = (err as NodeJS.ErrnoException).code === 'EEXIST' ? readStored(file).secret : undefined
    if (theirs !== undefined) return { secret: theirs, isReplaced: false } // another process was faster
    throw err
  } finally {
    rmSync(written, { force: true })
  }
}

/** The file of the secret. */
interface StoredSecret {
  exists: boolean
  /** `undefined`: there is no valid secret. An attacker could guess an empty or damaged one. */
  secret?: string
}

function readStored(file: string): StoredSecret {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return SECRET.test(text) ? { exists: true, secret: text } : { exists: true }
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return { exists: false }
    throw err
  }
}

function withToken(secret: string, rest: Pick<DevelopmentKey, 'isKept' | 'isReplaced' | 'failure'>): DevelopmentKey {
  const grants = { subscribe: ['**'], publish: ['**'], presence: ['**'], admin: true }
  return {
    secret,
    token: createSigner({ key: secret, algorithm: 'HS256' })({ sub: 'developer', fanfare: grants }),
    ...rest,
  }
}

export interface DevBanner {
  token: string
  /** A link to the console. `undefined` for a Unix socket, which browsers cannot open. */
  console?: string
  subscribe: string
  publish: string
  /** The same with the commands of this package, which find the secret in the folder of the log by themselves. */
  commands?: { subscribe: string; publish: string }
  /** The whole banner. Token, commands and link have lines of their own, to paste as they are. */
  text: string
}

/**
 * Returns the banner, as fields for the log and as text.
 * @param program how this program is started in a shell; `undefined`: the banner has no commands of this package
 */
export function devBanner(
  { text: address, url, socketPath }: Address,
  { token, isKept }: DevelopmentKey,
  hasConsole: boolean,
  program?: string,
): DevBanner {
  const isSecure = url.startsWith('https:')
  // the certificate may be self-signed, and is for the name that clients use
  const curl = socketPath !== undefined ? `curl --unix-socket ${quoted(socketPath)}` : isSecure ? 'curl -k' : 'curl'
  const authorization = `-H "Authorization: Bearer ${token}"`
  const subscribe = `${curl} -N ${authorization} "${url}/topics/orders.42/events?replay=all"`
  const publish = `${curl} ${authorization} -H "Content-Type: application/json" -d '{"type":"created","data":{"total":12}}' ${url}/topics/orders.42/events`
  const commands = program === undefined || !isKept ? undefined : commandsOf(program, { text: address, url })
  const link = hasConsole && socketPath === undefined ? `${url}/#token=${token}` : undefined
  const parts = {
    token,
    ...(link === undefined ? {} : { console: link }),
    subscribe,
    publish,
    ...(commands === undefined ? {} : { commands }),
  }
  return { ...parts, text: textOf(address, isKept, parts) }
}

/** Returns the text of a banner. */
function textOf(
  address: string,
  isKept: boolean,
  { token, console: link, subscribe, publish, commands }: Omit<DevBanner, 'text'>,
): string {
  const secret = isKept
    ? `the hub uses the secret in the folder of the log (${SECRET_FILE})`
    : 'the hub uses a new secret for this run'
  return `
Fanfare listens on ${address}

No key is set (FANFARE_JWT_SECRET): ${secret}.
This token has all grants, and is valid as long as the secret stays the same:

${token}

Subscribe, in one terminal:

${subscribe}

Publish, in another:

${publish}
${
  commands === undefined
    ? ''
    : `
Or, in this folder, with the commands of this package:

${commands.subscribe}
${commands.publish}
`
}${
    link === undefined
      ? ''
      : `
Open the console in a browser:

${link}
`
  }`
}

function commandsOf(program: string, { text, url }: Pick<Address, 'text' | 'url'>): DevBanner['commands'] {
  const isDefault = url === `http://${DEFAULT_HOST}:${DEFAULT_PORT}`
  const option = isDefault ? '' : ` --url ${quoted(text)}`
  return {
    subscribe: `${program} subscribe 'orders.*' --replay all${option}`,
    publish: `${program} publish orders.42 '{"total":12}' --type created${option}`,
  }
}

/**
 * Returns how to start this program again from the same folder: as npm starts it, by its name, or by its path.
 * @param script the path of the script of this process
 * @param certFile the certificate of the hub, which the program then trusts, since it may be self-signed
 */
export function programName(script: string | undefined, env: Process['env'], certFile?: string): string | undefined {
  if (script === undefined) return undefined
  if (certFile !== undefined) return `NODE_EXTRA_CA_CERTS=${quoted(certFile)} ${programName(script, env) ?? ''}`
  if (env.npm_command !== undefined) return 'npx fanfare' // npx, or `npm start` in a clone
  return basename(script) === 'fanfare' ? 'fanfare' : `node ${quoted(script)}`
}

/** Quotes a word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
