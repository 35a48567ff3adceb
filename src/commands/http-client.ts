/** Requests to a hub, over TCP, TLS or a Unix socket. A failure is one sentence, with the exit code that fits it. */
import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { CommandError } from './command.js'
import { EXIT } from './exit-codes.js'
import { printAddress, type HubAddress } from './hub-address.js'
import { printable } from './terminal.js'

/** The time without an answer after which a request has failed, in milliseconds. */
const TIMEOUT = 30_000
/** The maximum size of an answer that is not a stream, in bytes. */
const MAX_ANSWER = 64 * 1024 * 1024
/** The statuses of temporary refusals: RFC 9110, 15.5.9 and 15.6; RFC 6585, 4. */
const TEMPORARY = [408, 429, 500, 502, 503, 504]

export interface HubRequest {
  method?: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  body?: unknown
  signal?: AbortSignal
}

/** The parts of problem details (RFC 9457) that a command uses. */
interface ProblemDetails {
  detail?: string
  title?: string
  code?: string
  errors?: { path: string; message: string }[]
}

/** The hub, or a server before it, answered with an error status. */
export class RefusalError extends CommandError {
  override name = 'RefusalError'
  readonly status: number
  /** The code of a hub's refusal (docs/errors.md). `undefined`: the answer is not that of a hub. */
  readonly code: string | undefined
  /** The index of the first refused event of a batch. */
  readonly index: number | undefined
  /** The time to wait before the next attempt, in milliseconds. `undefined`: the refusal is final. */
  readonly retryAfter: number | undefined

  constructor(address: HubAddress, { statusCode = 0, headers }: IncomingMessage, body: string) {
    const problem = problemIn(headers['content-type'], body)
    const isTemporary = TEMPORARY.includes(statusCode)
    super(wordsOf(address, statusCode, headers.location, problem), isTemporary ? EXIT.unreachable : EXIT.refused)
    this.status = statusCode
    this.code = problem?.code
    const [, index] = /^\/events\/(\d+)/.exec(problem?.errors?.[0]?.path ?? '') ?? []
    this.index = index === undefined ? undefined : Number(index)
    this.retryAfter = isTemporary ? waitIn(headers['retry-after']) : undefined
  }
}

/** The hub cannot be reached, or did not complete its answer. */
export class UnreachableError extends CommandError {
  override name = 'UnreachableError'

  constructor(address: HubAddress, cause: unknown) {
    super(`No hub answers at ${printAddress(address)}: ${reasonOf(cause)}.`, EXIT.unreachable, { cause })
  }
}

/** Sends requests to one hub. */
export class HubClient {
  readonly address: HubAddress

  constructor(address: HubAddress) {
    this.address = address
  }

  /**
   * Sends a request, and resolves with the head of an answer below 300. The caller reads its body.
   * @param path with its query, such as `/topics?limit=1`
   * @throws RefusalError, UnreachableError
   */
  async open(path: string, { method = 'GET', headers = {}, body, signal }: HubRequest = {}): Promise<IncomingMessage> {
    const { token } = this.address
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await this.#send(
      path,
      {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
        ...(signal === undefined ? {} : { signal }),
      },
      text,
    )
    if (response.statusCode !== undefined && response.statusCode < 300) return response
    throw new RefusalError(this.address, response, await this.#read(response))
  }

  /**
   * Sends a request, and returns the JSON of the answer; `undefined` if the answer has no body.
   * @throws RefusalError, UnreachableError; CommandError if the answer is not JSON
   */
  async json<Answer>(path: string, options: HubRequest = {}): Promise<Answer> {
    const response = await this.open(path, { ...options, headers: { accept: 'application/json', ...options.headers } })
    const text = await this.#read(response)
    if (text === '') return undefined as Answer
    try {
      return JSON.parse(text) as Answer
    } catch {
      throw new CommandError(
        `${printAddress(this.address)} answers ${response.headers['content-type'] ?? 'a body without a type'} instead of JSON: it is not the URL of a hub.`,
        EXIT.refused,
      )
    }
  }

  #send(path: string, options: RequestOptions, body: string | undefined): Promise<IncomingMessage> {
    const { url, socketPath, isUnverified } = this.address
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    return new Promise((resolve, reject) => {
      const target = new URL(`${url.origin}${url.pathname.replace(/\/$/, '')}${path}`)
      const request = send(
        target,
        { ...options, ...(socketPath === undefined ? {} : { socketPath }), rejectUnauthorized: isUnverified !== true },
        (response) => {
          request.setTimeout(0)
          resolve(response)
        },
      )
      request.setTimeout(TIMEOUT, () => request.destroy(new Error(`it does not answer within ${TIMEOUT / 1_000} s`)))
      request.once('error', (err) => reject(options.signal?.aborted ? err : new UnreachableError(this.address, err)))
      request.end(body)
    })
  }

  async #read(response: IncomingMessage): Promise<string> {
    response.setTimeout(TIMEOUT, () => response.destroy(new Error(`it does not finish within ${TIMEOUT / 1_000} s`)))
    let text = ''
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk as string
        if (text.length > MAX_ANSWER) throw new Error('the answer is too large')
      }
    } catch (err) {
      throw new UnreachableError(this.address, err)
    }
    return text
  }
}

function problemIn(contentType: string | undefined, body: string): ProblemDetails | undefined {
  if (!/\bjson\b/.test(contentType ?? '')) return undefined
  try {
    const problem = JSON.parse(body) as ProblemDetails
    return typeof problem.code === 'string' && typeof problem.detail === 'string' ? problem : undefined
  } catch {
    return undefined
  }
}

function wordsOf(
  address: HubAddress,
  status: number,
  location: string | undefined,
  problem: ProblemDetails | undefined,
): string {
  if (problem) return printable(`${problem.detail ?? ''} (${status} ${problem.code ?? ''})`)
  const at = printAddress(address)
  if (location !== undefined) return printable(`${at} redirects to ${location} (${status}): use that URL.`)
  return TEMPORARY.includes(status)
    ? `${at} answers ${status}, and not as a hub does: look at the proxy before the hub.`
    : `${at} answers ${status}, and not as a hub does: check the URL and its path.`
}

/** Returns the wait that an answer asks for (RFC 9110, 10.2.3), in milliseconds. */
function waitIn(header: string | undefined): number {
  const seconds = Number(header)
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : 1_000
}

const UNTRUSTED =
  'its certificate is from an authority that is not trusted here; set NODE_EXTRA_CA_CERTS to the file with the certificate of that authority'

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED); start the hub, or check the URL',
  ENOENT: 'there is no such socket (ENOENT); start the hub, or check the URL',
  ENOTFOUND: 'its host name has no address (ENOTFOUND); check the URL',
  EAI_AGAIN: 'its host name cannot be looked up now (EAI_AGAIN); check the network',
  ECONNRESET: 'the connection was cut (ECONNRESET); if the hub speaks TLS, use https://',
  EPIPE: 'the connection was cut (EPIPE)',
  ETIMEDOUT: 'the connection takes too long (ETIMEDOUT); check the network and firewalls',
  EHOSTUNREACH: 'there is no route to it (EHOSTUNREACH); check the network',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_HAS_EXPIRED: 'its certificate has expired; give the hub a new one',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; check the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name; check the host in the URL',
  EPROTO: 'it does not speak TLS there (EPROTO); use http:// or the right port',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there; use http:// or the right port',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP/1.1 there; check the port and use https:// for TLS',
}

/** Returns a clause that says why a connection failed. */
export function reasonOf(err: unknown): string {
  const { code, message, errors } = err as NodeJS.ErrnoException & { errors?: unknown[] }
  if (code === undefined && errors?.[0] !== undefined) return reasonOf(errors[0]) // one error for each address
  if (code !== undefined && code in REASONS) return REASONS[code] ?? code
  return (message || code || String(err)).replace(/[.\s]+$/, '')
}
