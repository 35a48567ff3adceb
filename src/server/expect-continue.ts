/**
 * Handles the header `Expect` (RFC 9110, 10.1.1). The hub sends `100 Continue` only when it is about to read the body.
 * Node would send it before any check, and the client would send a body that is refused.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** The responses of requests that wait for `100 Continue`. */
const uninvited = new WeakMap<IncomingMessage, ServerResponse>()
/** Requests with an expectation other than `100-continue`. */
const unmet = new WeakSet<IncomingMessage>()

/** Leaves `100 Continue` to `inviteBody`. Every route of the server must call `inviteBody` before it reads a body. */
export function inviteLater(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    uninvited.set(request, response)
    server.emit('request', request, response)
  })
  // Node's own answer has no body, no CORS headers and no Cache-Control.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    unmet.add(request)
    server.emit('request', request, response)
  })
}

/** Whether a request has an expectation other than `100-continue`. */
export function isExpectationUnmet(request: IncomingMessage): boolean {
  return unmet.has(request)
}

/** Sends `100 Continue` if the client waits for it. */
export function inviteBody(request: IncomingMessage): void {
  if (request.headers.expect === undefined) return
  uninvited.get(request)?.writeContinue()
  uninvited.delete(request)
}
