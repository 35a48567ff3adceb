/** Where a command finds its hub, and with which token. */
import { folderOf, isLogAddress } from '../log/address.js'
import { DEFAULT_HOST, DEFAULT_PORT, EVERYWHERE, socketPathOf } from '../server/listen-address.js'
import { CommandError, UsageError, type Process } from './command.js'

/** The environment variables of these options. They are not settings of a hub, which accepts and ignores them. */
export const URL_VARIABLE = 'FANFARE_URL'
export const TOKEN_VARIABLE = 'FANFARE_TOKEN'
/** The setting with which a hub speaks TLS. */
const TLS_VARIABLE = 'FANFARE_TLS_CERT'

/** The options that every command for a running hub has. */
export interface HubOptions {
  url?: string | undefined
  token?: string | undefined
}

/** The address of a hub, and the token for it. */
export interface HubAddress {
  /** The base of request URLs, without a slash at the end of its path. */
  url: URL
  /** The path of the Unix socket, if the hub listens on one. */
  socketPath?: string
  token?: string
  /**
   * Whether the certificate is not verified: the hub of this machine has one for the name that other clients use. The
   * connection does not leave the machine.
   */
  isUnverified?: boolean
}

/**
 * Returns the address in the options, or else in the environment: `FANFARE_URL`, or the hub of this machine at `HOST`
 * and `PORT`. The token is that of the options or of `FANFARE_TOKEN`. A hub on this machine that was started without a
 * key, in the same folder, needs no token: its stored secret for development signs one.
 * @throws UsageError if the URL or the token is not valid
 */
export async function hubAddress({ url, token }: HubOptions, { env }: Pick<Process, 'env'>): Promise<HubAddress> {
  const address = addressOf(url ?? (env[URL_VARIABLE] || undefined), env)
  const given = token ?? (env[TOKEN_VARIABLE] || undefined) ?? (isLocal(address) ? await localToken(env) : undefined)
  if (given === undefined) return address
  const text = given.trim().replace(/^Bearer +/i, '')
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new UsageError('The token (--token or FANFARE_TOKEN) has characters that no token has.')
  return { ...address, token: text }
}

/** Returns the address of a URL, or else of the hub of this machine. */
function addressOf(url: string | undefined, env: Process['env']): HubAddress {
  if (url !== undefined) return parseUrl(url)
  const address = parseUrl(localUrl(env))
  return address.url.protocol === 'https:' && isLocal(address) ? { ...address, isUnverified: true } : address
}

/** Returns an address without a token. `unix:<path>` is the address of a Unix socket. */
export function parseUrl(text: string): HubAddress {
  const socketPath = socketPathOf(text)
  if (socketPath !== undefined) return { url: new URL('http://localhost'), socketPath }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.host === '')
    throw new UsageError(
      `${JSON.stringify(text)} is not the URL of a hub: write it as https://hub.example.com, http://127.0.0.1:3000 or unix:<path>.`,
    )
  if (url.username !== '' || url.password !== '')
    throw new UsageError('The URL has a user name or a password: a hub needs neither, give the token with --token.')
  url.pathname = url.pathname.replace(/\/+$/, '')
  url.search = url.hash = ''
  return { url }
}

/** Whether the hub is on this machine. */
export function isLocal({ url: { hostname }, socketPath }: HubAddress): boolean {
  return (
    socketPath !== undefined || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
  )
}

/** Returns the address as people write it. */
export function printAddress({ url, socketPath }: HubAddress): string {
  return socketPath === undefined ? url.href.replace(/\/$/, '') : `unix:${socketPath}`
}

function localUrl(env: Process['env']): string {
  const host = env.HOST || DEFAULT_HOST
  if (socketPathOf(host) !== undefined) return host
  const name = EVERYWHERE[host] ?? host
  return `${env[TLS_VARIABLE] ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${env.PORT || DEFAULT_PORT}`
}

async function localToken(env: Process['env']): Promise<string | undefined> {
  const keys = ['FANFARE_JWT_SECRET', 'FANFARE_JWT_PUBLIC_KEY', 'FANFARE_JWKS_URL']
  if (keys.some((name) => env[name])) return undefined
  const log = env.FANFARE_LOG || 'file:./data'
  if (!isLogAddress(log)) return undefined
  try {
    const { developmentToken } = await import('./dev-banner.js') // signs, which the other ways do not need
    return developmentToken(folderOf(log), env)
  } catch (err) {
    throw new CommandError(
      `The secret for development in the folder of the log cannot be read (${err instanceof Error ? err.message : String(err)}): give a token with --token or FANFARE_TOKEN.`,
    )
  }
}
