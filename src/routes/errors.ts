/** The pages that the `type` of a problem links to (RFC 9457, 3.1.1). */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Problem, refusals, type ProblemCode } from '../errors.js'
import { quote } from '../model/quote.js'
import { Refusal } from '../schemas/problem.js'
import { parameter, values } from '../schemas/parameters.js'
import { Type } from '../schemas/typebox.js'

const CodeParams = Type.Object({
  code: parameter('the code of an error', values.choice(...Object.keys(refusals))),
})

const errors: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/errors', { schema: { response: { 200: Type.Object({ errors: Type.Array(Refusal) }) } } }, async () => ({
    errors: (Object.keys(refusals) as ProblemCode[]).map(describe),
  }))

  app.get(
    '/errors/:code',
    { schema: { params: CodeParams, response: { 200: Refusal } } },
    async ({ params: { code } }) => {
      if (!isCode(code)) throw new Problem('not-found', `There is no error ${quote(code)}.`)
      return describe(code)
    },
  )
}

export default errors

function isCode(text: string): text is ProblemCode {
  return Object.hasOwn(refusals, text)
}

function describe(code: ProblemCode) {
  const { status, title } = refusals[code]
  return { code, status, title }
}
