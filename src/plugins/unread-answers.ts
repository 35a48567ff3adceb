/**
 * Closes connections whose clients do not read their answers. Node waits forever for a peer to take the bytes of an
 * answer. The hub closes the connection if the peer takes nothing for `FANFARE_SLOW_TIMEOUT`. Event streams are not
 * affected: their sinks have their own timeout.
 */
import type { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { AnswerPieces } from '../server/answer-pieces.js'
import { queueSizeOf } from '../server/direct-writer.js'
import type { NativePaths } from '../server/native.js'
import type { Settings } from '../settings.js'
import { kAfterEachAnswer, kBeforeEachAnswer } from './request-steps.js'

/** How many checks are made within the timeout, and the limits of the interval between them in milliseconds. */
const CHECKS = 4
const MIN_INTERVAL = 50
const MAX_INTERVAL = 1_000
/**
 * How many bytes a client must take within the timeout, if the hub cannot see how much of a single write the kernel has
 * taken. A larger answer gets proportionally more time.
 */
const PART = 64 * 1024

/** An answer that the client did not take at once. */
interface Watched {
  /** How many bytes the client had not taken at the last check. */
  waiting: number
  /** Since when the client has taken nothing, on the clock of `performance.now()`. */
  since: number
}

type Answer = ServerResponse | Http2ServerResponse

const kAnswerSlot = Symbol('fanfare.answerSlot')

declare module 'fastify' {
  interface FastifyReply {
    /** The slot of the answer in the list of pending answers. */
    [kAnswerSlot]: number
  }
}

/**
 * The answers that were passed to Node and that the client may not have taken yet. This is an array with reused slots,
 * since a Set with a high turnover leaves old hash tables behind, which keep its former entries alive
 * (docs/performance.md).
 */
class PendingAnswers {
  readonly #slots: (Answer | undefined)[] = []
  readonly #free: number[] = []

  /** @returns the slot, for `delete` */
  add(answer: Answer): number {
    const slot = this.#free.pop() ?? this.#slots.length
    this.#slots[slot] = answer
    return slot
  }

  /** Does nothing if the answer was deleted before. */
  delete(answer: Answer, slot: number): void {
    if (this.#slots[slot] !== answer) return
    this.#slots[slot] = undefined
    this.#free.push(slot)
  }

  *[Symbol.iterator](): Generator<[answer: Answer, slot: number]> {
    for (const [slot, answer] of this.#slots.entries()) if (answer) yield [answer, slot]
  }
}

export default fp<Pick<Settings, 'slowTimeout'> & { native: NativePaths }>(
  async (app, { slowTimeout, native }) => {
    const pending = new PendingAnswers()
    let watched = new Map<Answer, Watched>()

    app.decorateReply(kAnswerSlot, -1)
    app[kBeforeEachAnswer]((_request, reply) => void (reply[kAnswerSlot] = pending.add(reply.raw)))
    app[kAfterEachAnswer]((_request, { raw, [kAnswerSlot]: slot }) => pending.delete(raw, slot))
    app.addHook('onSend', (_request, reply, payload, done) => done(null, inPieces(reply, payload)))
    const timer = setInterval(
      () => check(performance.now()),
      Math.min(MAX_INTERVAL, Math.max(MIN_INTERVAL, slowTimeout / CHECKS)),
    ).unref()
    app.addHook('onClose', async () => clearInterval(timer))

    function check(now: number): void {
      const next = new Map<Answer, Watched>()
      for (const [answer, slot] of pending) {
        const waiting = waitingOf(answer, native)
        const last = watched.get(answer)
        if (isGone(answer)) pending.delete(answer, slot)
        else if (waiting === 0 || waiting !== last?.waiting) next.set(answer, { waiting, since: now })
        else if (now - last.since < timeOf(answer, waiting)) next.set(answer, last)
        else end(answer, slot)
      }
      watched = next
    }

    function timeOf(answer: Answer, waiting: number): number {
      const isExact = answer instanceof Http2ServerResponse ? pieces.has(answer) : native.directWriter
      return isExact ? slowTimeout : slowTimeout * Math.max(1, waiting / PART)
    }

    function end(answer: Answer, slot: number): void {
      app.log.info({ waiting: waitingOf(answer, native) }, 'connection closed: the client does not read the answer')
      pending.delete(answer, slot)
      if (answer instanceof Http2ServerResponse) answer.stream.destroy()
      else answer.destroy()
    }
  },
  { name: 'fanfare-unread-answers', fastify: '5.x', dependencies: ['fanfare-checks'] },
)

/** The large answers over HTTP/2. */
const pieces = new WeakMap<Http2ServerResponse, AnswerPieces>()

/** Returns the body of an answer; in pieces if the answer is large and sent over HTTP/2. */
function inPieces(reply: FastifyReply, payload: unknown): unknown {
  const { raw } = reply as { raw: Answer }
  if (!(raw instanceof Http2ServerResponse) || !AnswerPieces.suits(payload)) return payload
  const bytes = Buffer.from(payload)
  const body = new AnswerPieces(bytes)
  pieces.set(raw, body)
  reply.header('content-length', bytes.length)
  return body
}

function isGone(answer: Answer): boolean {
  return answer instanceof Http2ServerResponse ? answer.stream.destroyed : answer.destroyed || answer.writableFinished
}

/** Returns how many bytes of an answer the client has not taken. 0 if the answer does not wait for the client. */
function waitingOf(answer: Answer, native: NativePaths): number {
  if (answer instanceof Http2ServerResponse) return (pieces.get(answer)?.left ?? 0) + answer.stream.writableLength
  const { socket } = answer
  if (!socket) return 0 // answers to earlier requests on the connection come first
  // the second term is the part of a single write that the kernel has not taken
  return socket.writableLength + (native.directWriter ? (queueSizeOf(socket) ?? 0) : 0)
}
