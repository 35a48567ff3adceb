/** Single requests whose head, body and times are looked at. */
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { HubAddress } from '../hub-address.js'

/** How long an answer may take, in milliseconds. */
export const TIMEOUT = 5_000
/** How much of a body is read, in characters. */
const MAX_BODY = 64 * 1024

export interface ProbeOptions {
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** Resolves with the head of an answer. Its connection is used for nothing else. */
export function open(
  { url, socketPath, isUnverified }: HubAddress,
  path: string,
  { method = 'GET', headers = {}, body }: ProbeOptions = {},
): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const request = send(
      new URL(`${url.origin}${url.pathname.replace(/\/$/, '')}${path}`),
      {
        method,
        agent: false,
        headers: {
          ...headers,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
        },
        ...(socketPath === undefined ? {} : { socketPath }),
        rejectUnauthorized: isUnverified !== true,
      },
      (response) => {
        request.setTimeout(0)
        resolve(response)
      },
    )
    request.setTimeout(TIMEOUT, () => request.destroy(new Error(`no answer within ${TIMEOUT / 1_000} s`)))
    request.once('error', reject)
    request.end(body)
  })
}

/** An answer, whose body is parsed if it is JSON. */
export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: unknown
}

/** Sends a request and reads the whole answer. */
export async function ask(address: HubAddress, path: string, options: ProbeOptions = {}): Promise<Answer> {
  const response = await open(address, path, options)
  response.setTimeout(TIMEOUT, () => response.destroy(new Error('the answer does not end')))
  let text = ''
  for await (const part of response.setEncoding('utf8')) if ((text += part as string).length > MAX_BODY) break
  return { status: response.statusCode ?? 0, headers: response.headers, body: parse(response, text) }
}

function parse({ headers }: IncomingMessage, text: string): unknown {
  if (!/\bjson\b/.test(headers['content-type'] ?? '')) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Returns a member of a parsed body, if the body is an object. */
export function memberOf(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined
}
