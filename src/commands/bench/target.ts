/** What a load generator has to know of a server: how to subscribe and how to publish. */
import { CommandError, UsageError } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { isLocal, parseUrl, type HubAddress } from '../hub-address.js'

/** The kinds of servers whose requests are known. `sse` needs templates. */
export const KINDS = ['fanfare', 'mercure', 'centrifugo', 'sse'] as const
export type Kind = (typeof KINDS)[number]

/**
 * Requests with placeholders: `{topic}`, and in a body `{payload}`, a JSON object. Both are encoded for URLs in a URL
 * and in the body of a form.
 */
export interface Target {
  subscribe: Template
  /** `undefined`: a command publishes. */
  publish?: Template & { method: string; body: string }
  socketPath?: string
}

interface Template {
  url: string
  headers: Record<string, string>
}

export interface TargetOptions {
  kind: Kind
  apiKey?: string | undefined
  subscribeUrl?: string | undefined
  subscribeHeader?: string[] | undefined
  publishUrl?: string | undefined
  publishHeader?: string[] | undefined
  publishBody?: string | undefined
  publishCommand?: string | undefined
}

const JSON_TYPE = { 'content-type': 'application/json' }

/**
 * Returns the requests for a server at an address.
 * @throws UsageError if a template is missing or not valid
 */
export function targetOf({ url, socketPath, token }: HubAddress, options: TargetOptions): Target {
  const base = url.href.replace(/\/$/, '')
  const known = requestsOf(options, base, token)
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { subscribeUrl = known.subscribe, publishUrl = known.publish, publishBody = known.body } = options
  return {
    subscribe: {
      url: checked(subscribeUrl, '--subscribe-url'),
      headers: { accept: 'text/event-stream', ...headers, ...headersOf(options.subscribeHeader) },
    },
    ...(options.publishCommand === undefined
      ? {
          publish: {
            method: 'POST',
            url: checked(publishUrl, '--publish-url'),
            body: publishBody,
            headers: { ...known.headers, ...headers, ...known.keys, ...headersOf(options.publishHeader) },
          },
        }
      : {}),
    ...(socketPath === undefined ? {} : { socketPath }),
  }
}

/**
 * Refuses a load on another machine, which may be in production.
 * @throws CommandError
 */
export function requireLocal({ subscribe, publish, socketPath }: Target): void {
  if (socketPath !== undefined) return
  for (const { url } of [subscribe, ...(publish ? [publish] : [])]) {
    const address = parseUrl(fill(url, 'topic', '', true))
    if (!isLocal(address))
      throw new CommandError(
        `${address.url.host} is not this machine: add --remote if the load may go there.`,
        EXIT.failed,
      )
  }
}

/** Returns a template with its placeholders filled. */
export function fill(template: string, topic: string, payload: string, isEncoded: boolean): string {
  const encode = isEncoded ? encodeURIComponent : (text: string) => text
  return template.replace(/\{(topic|payload)\}/g, (_, name: string) => encode(name === 'topic' ? topic : payload))
}

/** Whether a body is a form, in which values are encoded. */
export function isForm(headers: Record<string, string>): boolean {
  return headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false
}

interface Known {
  subscribe: string
  publish: string
  body: string
  headers: Record<string, string>
  keys: Record<string, string>
}

function requestsOf({ kind, apiKey }: TargetOptions, base: string, token: string | undefined): Known {
  switch (kind) {
    case 'fanfare': {
      const url = `${base}/topics/{topic}/events`
      return { subscribe: url, publish: url, body: '{"data":{payload}}', headers: JSON_TYPE, keys: {} }
    }
    case 'mercure': {
      // https://mercure.rocks/spec: the hub is at /.well-known/mercure
      const url = base.endsWith('/.well-known/mercure') ? base : `${base}/.well-known/mercure`
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      return {
        subscribe: `${url}?topic={topic}`,
        publish: url,
        body: 'topic={topic}&data={payload}',
        headers,
        keys: {},
      }
    }
    case 'centrifugo': {
      // unidirectional SSE: the command "connect" in the query, with subscriptions of the server
      const connect = encodeURIComponent(
        JSON.stringify({ ...(token === undefined ? {} : { token }), subs: { '{topic}': {} } }),
      ).replace('%7Btopic%7D', '{topic}')
      return {
        subscribe: `${base}/connection/uni_sse?cf_connect=${connect}`,
        publish: `${base}/api/publish`,
        body: '{"channel":"{topic}","data":{payload}}',
        headers: JSON_TYPE,
        keys: apiKey === undefined ? {} : { 'x-api-key': apiKey },
      }
    }
    case 'sse':
      return { subscribe: base, publish: '', body: '{payload}', headers: JSON_TYPE, keys: {} }
  }
}

function checked(url: string, option: string): string {
  if (url === '') throw new UsageError(`--kind sse needs ${option} or --publish-command.`)
  if (!URL.canParse(fill(url, 'topic', '', true)))
    throw new UsageError(`${option} is not a URL: ${JSON.stringify(url)}.`)
  return url
}

function headersOf(given: string[] = []): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/.exec(text) ?? []
      if (name === undefined || value === undefined)
        throw new UsageError(`A header is <name>: <value>, and not ${JSON.stringify(text)}.`)
      return [name.toLowerCase(), value]
    }),
  )
}
