/** Finds the token of a request. The first token found counts, so a request has one principal. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { readSession } from './session-cookie.js'

/** Where the token was found. `application`: there is no token, and the application's own login names the principal. */
export type TokenSource = 'header' | 'ticket' | 'cookie' | 'query' | 'application'

/** The result of the search for a token. */
export interface TokenSearch {
  /** `undefined`: no token was found. */
  source: TokenSource | undefined
  token: string
  /** A sentence for refusals: where the token was found, or where the hub looked for it. */
  words: string
  /** Why the token in the cookie was ignored. It replaces `missing-token` if the request needs a token. */
  refusal?: Problem
}

/** A header with the scheme Bearer. */
const BEARER = /^Bearer(?!\S)/i
/**
 * A scheme and its credentials (RFC 9110, 11.4). No scheme in use is longer than 20 characters; a longer word may be a
 * token without a scheme, which messages must not repeat.
 */
const SCHEME = /^([\w-]{1,20}) +\S/

/** Names of query parameters that usually hold a token, in lower case. */
const QUERY_NAMES = ['token', 'access_token', 'authorization', 'jwt']

const FOUND: Record<TokenSource, string> = {
  header: 'The token was found in the header "Authorization".',
  ticket: 'The ticket was found in the query, as "ticket".',
  cookie: 'The token was found in the cookie "fanfare_token".',
  query: 'The token was found in the query, as "token".',
  application: "No token was found: the application's own login identified the request.",
}

/**
 * Refuses a request with a token in its URL, even if the route needs no token.
 * @param inQuery whether `?token=` is allowed
 * @throws Problem `token-in-query`
 */
export function refuseTokenInQuery(request: FastifyRequest, inQuery: boolean): void {
  for (const name in request.query as object)
    if (QUERY_NAMES.includes(name.toLowerCase())) return refuseTokenNamed(name, inQuery)
}

function refuseTokenNamed(named: string, inQuery: boolean): void {
  if (inQuery && named === 'token') return
  throw new Problem(
    'token-in-query',
    `The query has ${quote(named)}. Servers log URLs, so send the token in the header "Authorization: Bearer …". A browser's EventSource cannot send this header: use a ticket (POST /tickets) or a cookie (POST /sessions).`,
  )
}

/**
 * Finds the token of a request. A header with another scheme than Bearer is not a token: it may be meant for a proxy
 * that passes it on.
 * @param inQuery whether `?token=` is allowed
 * @throws Problem `malformed-token`, `invalid-ticket`
 */
export function findToken(request: FastifyRequest, inQuery: boolean): TokenSearch {
  const query = request.query as Record<string, unknown>
  const { authorization } = request.headers
  if (authorization !== undefined && BEARER.test(authorization)) return found('header', bearerOf(authorization))
  if (query.ticket !== undefined) return found('ticket', single(query.ticket, 'invalid-ticket', 'ticket'))
  const session = readSession(request.headers.cookie)
  if (session !== undefined) return found('cookie', session)
  if (inQuery && query.token !== undefined) return found('query', single(query.token, 'malformed-token', 'token'))
  const words = `No token was found. The hub looked in the header "Authorization: Bearer …", in the query as "ticket"${inQuery ? ' and as "token"' : ''}, and in the cookie "fanfare_token".`
  return {
    source: undefined,
    token: '',
    words: authorization === undefined ? words : `${words} ${wordsForScheme(authorization)}`,
  }
}

/** Returns the result for a request that the application's own login identifies. */
export function foundByApplication(): TokenSearch {
  return found('application', '')
}

/** Returns the result for a request that neither a token nor the application's own login identifies. */
export function unknownToApplication(search: TokenSearch): TokenSearch {
  return { ...search, words: `${search.words} The application's own login did not identify the request either.` }
}

function found(source: TokenSource, token: string): TokenSearch {
  return { source, token, words: FOUND[source] }
}

function bearerOf(authorization: string): string {
  const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization) ?? []
  if (token === undefined)
    throw new Problem('malformed-token', 'The header "Authorization" must be "Bearer", a space and a token.')
  return token
}

/** Returns the sentence about a header with another scheme. It does not repeat the credentials. */
function wordsForScheme(authorization: string): string {
  const [, scheme] = SCHEME.exec(authorization) ?? []
  return `The header "Authorization" has ${scheme === undefined ? 'no scheme' : `the scheme "${scheme}"`}, and must be "Bearer", a space and a token.`
}

function single(value: unknown, code: 'invalid-ticket' | 'malformed-token', name: string): string {
  if (typeof value !== 'string' || value === '')
    throw new Problem(code, `The query parameter "${name}" has no value, or is given more than once.`)
  return value
}
