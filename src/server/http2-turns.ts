/**
 * Limits the answers of one HTTP/2 session that are built and not yet taken by the client. A client may open hundreds
 * of requests and grant no window for their answers (RFC 9113, 5.2). HTTP/1 has one such answer per connection.
 */
import type { Http2Session, Http2Stream } from 'node:http2'

/** The number of reading requests of a session that are answered at the same time. */
const MAX_ANSWERS = 4

interface Queue {
  /** The requests that are being answered. */
  answered: Set<Http2Stream>
  /** The requests that wait, and how they proceed. */
  waiting: Map<Http2Stream, () => void>
}

const queues = new WeakMap<Http2Session, Queue>()

/** Calls `proceed` when a request may be answered, or when its stream is closed. */
export function awaitAnswerTurn(stream: Http2Stream, proceed: () => void): void {
  const { session } = stream
  if (!session || stream.closed || stream.destroyed) return proceed()
  let queue = queues.get(session)
  if (!queue) queues.set(session, (queue = { answered: new Set(), waiting: new Map() }))
  stream.once('close', () => leave(queue, stream))
  if (queue.answered.size < MAX_ANSWERS) {
    queue.answered.add(stream)
    proceed()
  } else queue.waiting.set(stream, proceed)
}

/** Lets another request proceed: the answer is an event stream, whose sink limits its memory. */
export function giveAnswerTurn(stream: Http2Stream): void {
  const queue = stream.session && queues.get(stream.session)
  if (queue) leave(queue, stream)
}

function leave({ answered, waiting }: Queue, stream: Http2Stream): void {
  const abandoned = waiting.get(stream)
  if (abandoned) {
    waiting.delete(stream)
    abandoned()
    return
  }
  if (!answered.delete(stream)) return
  const [next] = waiting
  if (!next) return
  waiting.delete(next[0])
  answered.add(next[0])
  next[1]()
}
