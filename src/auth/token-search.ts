/** Where the token of a request is looked for. What is found first counts, so a request has one bearer. */
import type { FastifyRequest } from 'fastify'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { readSession } from './session-cookie.js'

/** `application`: there is no token, and the application's own login knows who makes the request. */
export type TokenSource = 'header' | 'ticket' | 'cookie' | 'query' | 'application'

/** What came of looking for a token. */
export interface TokenSearch {
  /** Where it was; `undefined`: there was none. */
  source: TokenSource | undefined
  token: string
  /** The same for whoever is refused: where it was found or, when there is none, where it was looked for. */
  words: string
  /** Why the cookie's token was left aside: it is the answer where a token is needed after all. */
  refusal?: Problem
}

/** A header of the scheme Bearer, whatever follows. */
const BEARER = /^Bearer(?!\S)/i
/**
 * A scheme before its credentials (RFC 9110, 11.4). What is longer than any in use may be a token that stands there
 * alone.
 */
const SCHEME = /^([\w-]{1,20}) +\S/

/** Names under which tokens are put into URLs by mistake, in lower case. */
const QUERY_NAMES = ['token', 'access_token', 'authorization', 'jwt']

const FOUND: Record<TokenSource, string> = {
  header: 'The token was found in the header "Authorization".',
  ticket: 'The ticket was found in the query, as "ticket".',
  cookie: 'The token was found in the cookie "fanfare_token".',
  query: 'The token was found in the query, as "token".',
  application: 'No token was found: the login of the application says who makes the request.',
}

/**
 * Refuses a request whose URL has a token, whether it needs one or not.
 * @param inQuery whether it may be `?token=`
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
    `The query has ${quote(named)}. URLs end up in logs, so a token belongs in the header "Authorization: Bearer …"; a browser's EventSource, which cannot send that, uses a ticket (POST /tickets) or a cookie (POST /sessions).`,
  )
}

/**
 * Looks for the token of a request. A header of another scheme than Bearer is no token: a proxy may ask for it, and
 * pass it on.
 * @param inQuery whether it may be `?token=`
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
  const words = `No token was found: it was looked for in the header "Authorization: Bearer …", in the query as "ticket"${inQuery ? ' and as "token"' : ''}, and in the cookie "fanfare_token".`
  return {
    source: undefined,
    token: '',
    words: authorization === undefined ? words : `${words} ${wordsForScheme(authorization)}`,
  }
}

/** The same search, where the application's login knows who makes the request. */
export function foundByApplication(): TokenSearch {
  return found('application', '')
}

/** The same search, where the application's login knows nobody either. */
export function unknownToApplication(search: TokenSearch): TokenSearch {
  return { ...search, words: `${search.words} The login of the application knows nobody either.` }
}

function found(source: TokenSource, token: string): TokenSearch {
  return { source, token, words: FOUND[source] }
}

function bearerOf(authorization: string): string {
  const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization) ?? []
  if (token === undefined)
    throw new Problem('malformed-token', 'The header "Authorization" has to be "Bearer", a space and a token.')
  return token
}

/** What is wrong with a header of another scheme, without its credentials. */
function wordsForScheme(authorization: string): string {
  const [, scheme] = SCHEME.exec(authorization) ?? []
  return `The header "Authorization" has ${scheme === undefined ? 'no scheme' : `the scheme "${scheme}"`}, and has to be "Bearer", a space and a token.`
}

function single(value: unknown, code: 'invalid-ticket' | 'malformed-token', name: string): string {
  if (typeof value !== 'string' || value === '')
    throw new Problem(code, `The query has "${name}" without a value, or more than once.`)
  return value
}
