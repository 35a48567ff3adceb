/** Spans of publishes and of the openings of streams, if the process has an SDK of OpenTelemetry. */
import fp from 'fastify-plugin'
import { version } from '../model/version.js'
import { Traces } from '../observe/traces.js'
import { toProblem } from './errors.js'

export const kTraces = Symbol('fanfare.traces')

declare module 'fastify' {
  interface FastifyInstance {
    [kTraces]: Traces
  }
}

export default fp(
  async (app) => {
    const traces = new Traces(version, (err) => {
      const { code, message, status } = toProblem(err)
      return { code, message, isFault: status >= 500 }
    })
    await traces.prepare()
    app.decorate(kTraces, traces)
  },
  { name: 'fanfare-traces', fastify: '5.x' },
)
