/** What a hub that was started without a key tells the person who started it: a token, and commands to paste. */
import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSigner } from 'fast-jwt'
import type { Address } from './listen.js'
import { makeFolder } from '../log/lmdb/folder.js'

/** The file in the log's folder that holds the secret for development. */
export const SECRET_FILE = 'development-secret'
/** 32 bytes in base64url. */
const SECRET = /^[\w-]{43}$/

/** A secret, and a token that may do everything. */
export interface DevelopmentKey {
  secret: string
  token: string
  /** Whether the next start has the same secret. */
  isKept: boolean
  /** Whether the file held something that is no secret: tokens that an earlier one signed are refused. */
  isReplaced?: boolean
  /** Why the secret could not be kept, if it was to be. */
  failure?: Error
}

/**
 * Reads the secret that an earlier start has left in a folder, or draws one and leaves it there, for its user alone.
 * @param folder without one, or where nothing can be written, the secret is for this run
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

/** Returns the secret in a folder; the one that was drawn is put there when there is none, or something else. */
function keepSecret(folder: string, drawn: string): { secret: string; isReplaced: boolean } {
  const file = join(folder, SECRET_FILE)
  const kept = readSecret(file)
  // not an empty or a damaged one, which could be guessed
  if (kept !== undefined && SECRET.test(kept)) return { secret: kept, isReplaced: false }
  makeFolder(folder)
  const written = `${file}-${process.pid}` // whole before it has its name: a start that is killed leaves no half of one
  try {
    writeFileSync(written, `${drawn}\n`, { mode: 0o600, flag: 'w', flush: true })
    if (kept === undefined) linkSync(written, file)
    else renameSync(written, file)
    return { secret: drawn, isReplaced: kept !== undefined }
  } catch (err) {
    const theirs = (err as NodeJS.ErrnoException).code === 'EEXIST' ? readSecret(file) : undefined
    // another start was faster
    if (theirs !== undefined && SECRET.test(theirs)) return { secret: theirs, isReplaced: false }
    throw err
  } finally {
    rmSync(written, { force: true })
  }
}

function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
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
  /** A link to the console; a browser opens none on a Unix socket. */
  console?: string
  subscribe: string
  publish: string
  /** All of it in words; token, commands and link have lines of their own, which can be pasted as they are. */
  text: string
}

/** Returns what to tell, as fields and as text. */
export function devBanner(
  { text: place, url, socketPath }: Address,
  { token, isKept }: DevelopmentKey,
  hasConsole: boolean,
): DevBanner {
  const curl = socketPath === undefined ? 'curl' : `curl --unix-socket ${quoted(socketPath)}`
  const authorization = `-H "Authorization: Bearer ${token}"`
  const subscribe = `${curl} -N ${authorization} "${url}/topics/orders.42/events?replay=all"`
  const publish = `${curl} ${authorization} -H "Content-Type: application/json" -d '{"type":"created","data":{"total":12}}' ${url}/topics/orders.42/events`
  const link = hasConsole && socketPath === undefined ? `${url}/#token=${token}` : undefined
  const secret = isKept
    ? `the hub uses the secret in the folder of the log (${SECRET_FILE})`
    : 'the hub drew a secret for this run'
  const text = `
Fanfare listens on ${place}

No key is set (FANFARE_JWT_SECRET): ${secret}.
This token may do everything, as long as the secret is the same:

${token}

Subscribe, in one terminal:

${subscribe}

Publish, in another:

${publish}
${
  link === undefined
    ? ''
    : `
See what goes on, in a browser:

${link}
`
}`
  return { token, ...(link === undefined ? {} : { console: link }), subscribe, publish, text }
}

/** Quotes a word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
