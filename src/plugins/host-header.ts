/**
 * Refuses HTTP/1.1 requests without exactly one valid header `Host` (RFC 9112, 3.2). Node's own refusal has no body,
 * and no CORS headers that let a page read it.
 */
import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'
import { quote } from '../model/quote.js'
import { kCheckEach } from './request-steps.js'

/** A host and a port (RFC 9110, 7.2; RFC 3986, 3.2.2); both may be empty. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?$/

/** Whether a text is a host with an optional port. */
export function isHost(text: string): boolean {
  return text !== '' && HOST.test(text)
}

export default fp(
  async (app) => {
    app[kCheckEach]((request, reply) => {
      const hosts = countHosts(request.raw)
      const isOne = hosts === 1 || (hosts === 0 && request.raw.httpVersion !== '1.1')
      const { host = '' } = request.headers
      if (isOne && HOST.test(host)) return
      if (request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
      throw new Problem(
        'invalid-request',
        isOne
          ? `The header "Host" is ${quote(host)}, which is not a host with an optional port.`
          : `A request of HTTP/1.1 must have one header "Host", and this request has ${hosts === 0 ? 'none' : hosts}.`,
      )
    })
  },
  { name: 'fanfare-host-header', fastify: '5.x', dependencies: ['fanfare-checks'] },
)

function countHosts({ rawHeaders }: IncomingMessage): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}
