/**
 * What clients ask for with the header `Expect`. A body is invited only when it is about to be read (RFC 9110, 10.1.1):
 * Node would answer `100 Continue` before anything of the request was looked at, and a client that asked first would
 * then send a body that is refused.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** Responses to requests that wait for an invitation. */
const uninvited = new WeakMap<IncomingMessage, ServerResponse>()
/** Requests that expect something else than an invitation. */
const unmet = new WeakSet<IncomingMessage>()

/**
 * Has a server leave the invitation to `inviteBody`. Every route of the server has to call it before it reads a body.
 */
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

/** Whether a request expects what no server can do (RFC 9110, 10.1.1). */
export function isExpectationUnmet(request: IncomingMessage): boolean {
  return unmet.has(request)
}

/** Tells a client that waits for it to send its body. */
export function inviteBody(request: IncomingMessage): void {
  if (request.headers.expect === undefined) return
  uninvited.get(request)?.writeContinue()
  uninvited.delete(request)
}
