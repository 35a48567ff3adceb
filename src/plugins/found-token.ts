/** Where the token of a request was found. The authenticator writes it; errors and routes read it. */
import type { TokenSearch } from '../auth/token-search.js'

export const kToken = Symbol('fanfare.token')

declare module 'fastify' {
  interface FastifyRequest {
    /** The result of the search for the request's token. Handlers call `requireTokenSearch`. */
    [kToken]: TokenSearch | null
  }
}
