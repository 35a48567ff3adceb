/** Operations on one stream, which run in the process that holds the stream. */
import type { FastifyInstance } from 'fastify'
import type { ClusterMessage } from '../../cluster/cluster.js'
import { Problem } from '../../errors.js'
import { isBearer, type Bearer } from '../../auth/principal.js'
import { nodeOf } from '../../hub/connection-id.js'
import type { Stream } from '../../hub/stream.js'
import { quote } from '../../model/quote.js'
import { isString, shapeOf, type Check } from '../../model/shape.js'
import { kRequireInForce } from '../../plugins/auth.js'
import { hubOf } from '../../plugins/hub.js'
import { outcomeOf, outcomeWith, valueOf } from '../../plugins/outcome.js'

/** The request for an operation, with the principal of the client's request. */
interface OperationMessage<Input> extends ClusterMessage {
  id: string
  asking: Bearer
  input: Input
}

/** The checks of the data that travels between the processes, which may have different versions. */
interface OperationShape<Input, Result> {
  input: Check<Input>
  result: Check<Result>
}

/** Runs an operation on the stream with an id. */
export type RunOperation<Input, Result> = (asking: Bearer, id: string, input: Input) => Promise<Result>

/**
 * Defines an operation on a stream. Its input and its result are plain data.
 * @param name unique among the messages of the cluster
 * @param shape the checks of the input and the result
 * @param operate checks that the principal may do this, and does it. It runs in the process that holds the stream
 * @returns runs the operation. It throws a Problem `not-found` if no process has the stream, a HubError `unavailable`
 *   if the process that has it does not answer, and what `operate` throws
 */
export function streamOperation<Input, Result>(
  app: FastifyInstance,
  name: string,
  shape: OperationShape<Input, Result>,
  operate: (stream: Stream, asking: Bearer, input: Input) => Result,
): RunOperation<Input, Result> {
  const { connections, messenger } = hubOf(app)

  function run(asking: Bearer, id: string, input: Input): Result {
    const stream = connections.get(id)
    if (!stream) throw notFound(id)
    requireOwn(asking, stream)
    return operate(stream, asking, input)
  }

  const isBody = shapeOf({ id: isString, asking: isBearer, input: shape.input })
  const isOutcome = outcomeWith(shape.result)
  messenger.onRequest<OperationMessage<Input>>(name, isBody, ({ id, asking, input }) =>
    outcomeOf(
      () => {
        app[kRequireInForce](asking)
        return run(asking, id, input)
      },
      (err) => app.log.error({ err, operation: name }, 'an operation for another process failed'),
    ),
  )

  return async (asking, id, input) => {
    const node = nodeOf(id)
    if (node === undefined || node === messenger.node || connections.get(id)) return run(asking, id, input)
    const message = { kind: name, id, asking, input } satisfies OperationMessage<Input>
    const answer = await messenger.ask(node, message, isOutcome)
    if (!answer) throw notFound(id)
    return valueOf(answer.value) as Result
  }
}

function notFound(id: string): Problem {
  return new Problem('not-found', `There is no stream ${quote(id)}: it has ended, or it belongs to another hub.`)
}

/**
 * Checks that a principal owns a stream, or is an admin.
 * @throws Problem `not-granted`
 */
function requireOwn({ admin, subject }: Bearer, stream: Stream): void {
  if (admin || (subject !== undefined && subject === stream.info.principal.subject)) return
  throw new Problem(
    'not-granted',
    subject === undefined
      ? 'The token has no "sub", but a stream belongs to the subject of its token.'
      : 'The stream belongs to another subject: the token needs the same "sub", or "admin": true.',
  )
}
