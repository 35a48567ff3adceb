/** Refuses requests with too many or too large headers, with HTTP/1.1 and HTTP/2 alike. */
import fp from 'fastify-plugin'
import { Problem } from '../errors.js'
import { headFault } from '../server/header-limits.js'
import { kCheckEach } from './request-steps.js'

export default fp(
  async (app) => {
    app[kCheckEach](({ raw }) => {
      const fault = headFault(raw)
      if (fault !== undefined) throw new Problem('headers-too-large', fault)
    })
  },
  { name: 'fanfare-header-limits', fastify: '5.x', dependencies: ['fanfare-checks'] },
)
