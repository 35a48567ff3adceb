/**
 * What is done for every request and every answer, in one hook a phase: running a hook of Fastify's costs a publish
 * more than most of these steps do.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** Done in the turn in which it is called. A step before the answer refuses the request by throwing a Problem. */
export type Step = (request: FastifyRequest, reply: FastifyReply) => void

declare module 'fastify' {
  interface FastifyInstance {
    /** Adds a step before CORS has a look at the request. */
    prepareEach: (step: Step) => void
    /** Adds a step behind CORS, so that a page can read the refusal. */
    checkEach: (step: Step) => void
    /** Adds a step before each answer is sent. */
    beforeEachAnswer: (step: Step) => void
    /** Adds a step behind each answer, also one that was not taken. */
    afterEachAnswer: (step: Step) => void
  }
}

/** To be registered before CORS. */
export const preparation = fp(
  async (app) => {
    app.addHook('onRequest', steps(app, 'prepareEach'))
  },
  { name: 'fanfare-preparation', fastify: '5.x' },
)

/** To be registered behind CORS. */
export const checks = fp(
  async (app) => {
    app.addHook('onRequest', steps(app, 'checkEach'))
    const before = steps(app, 'beforeEachAnswer')
    app.addHook('onSend', (request, reply, payload, done) => before(request, reply, () => done(null, payload)))
    app.addHook('onResponse', steps(app, 'afterEachAnswer'))
  },
  { name: 'fanfare-checks', fastify: '5.x' },
)

/**
 * Decorates the application with a way to add steps. Returns a hook that runs them in the order in which they were
 * added.
 */
function steps(app: FastifyInstance, name: 'prepareEach' | 'checkEach' | 'beforeEachAnswer' | 'afterEachAnswer') {
  const added: Step[] = []
  app.decorate(name, (step: Step) => void added.push(step))
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    for (const step of added) step(request, reply)
    done()
  }
}
