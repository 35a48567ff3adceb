/**
 * Runs small steps for every request and every answer, all steps of a phase in one hook. For a publish, a Fastify hook
 * costs more than most of these steps.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** A synchronous step. A step before the answer refuses the request by throwing a Problem. */
export type Step = (request: FastifyRequest, reply: FastifyReply) => void

export const kPrepareEach = Symbol('fanfare.prepareEach')
export const kCheckEach = Symbol('fanfare.checkEach')
export const kBeforeEachAnswer = Symbol('fanfare.beforeEachAnswer')
export const kAfterEachAnswer = Symbol('fanfare.afterEachAnswer')

declare module 'fastify' {
  interface FastifyInstance {
    /** Adds a step that runs before CORS. */
    [kPrepareEach]: (step: Step) => void
    /** Adds a step that runs after CORS, so that a page can read a refusal. */
    [kCheckEach]: (step: Step) => void
    /** Adds a step before each answer is sent. */
    [kBeforeEachAnswer]: (step: Step) => void
    /** Adds a step after each answer, including answers that the client did not take. */
    [kAfterEachAnswer]: (step: Step) => void
  }
}

type Phase = typeof kPrepareEach | typeof kCheckEach | typeof kBeforeEachAnswer | typeof kAfterEachAnswer

/** Register this plugin before CORS. */
export const preparation = fp(
  async (app) => {
    app.addHook('onRequest', steps(app, kPrepareEach))
  },
  { name: 'fanfare-preparation', fastify: '5.x' },
)

/** Register this plugin after CORS. */
export const checks = fp(
  async (app) => {
    app.addHook('onRequest', steps(app, kCheckEach))
    const before = steps(app, kBeforeEachAnswer)
    app.addHook('onSend', (request, reply, payload, done) => before(request, reply, () => done(null, payload)))
    app.addHook('onResponse', steps(app, kAfterEachAnswer))
  },
  { name: 'fanfare-checks', fastify: '5.x' },
)

/**
 * Decorates the application with a function that adds steps. Returns a hook that runs the steps in the order of their
 * addition.
 */
function steps(app: FastifyInstance, phase: Phase) {
  const added: Step[] = []
  app.decorate(phase, (step: Step) => void added.push(step))
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    for (const step of added) step(request, reply)
    done()
  }
}
