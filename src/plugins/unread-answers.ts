/**
 * Answers that their clients do not read. Node waits for ever until a peer takes what it was sent. An answer of which
 * nothing is taken for a time is given up with its connection. Event streams have sinks that look after themselves.
 */
import type { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import fp from 'fastify-plugin'
import { queueSizeOf } from '../server/direct-writer.js'
import type { NativePaths } from '../server/native.js'
import type { Settings } from '../settings.js'

/** How often answers are looked at, in milliseconds: a part of the time that they have, and no more often than this. */
const LOOKS = 4
const MIN_INTERVAL = 50
const MAX_INTERVAL = 1_000
/**
 * The least of an answer that has to be taken within the time, in bytes, where it cannot be seen what is taken of a
 * write.
 */
const PART = 64 * 1024

/** An answer that was not taken at once. */
interface Watched {
  /** How many bytes were still to be taken at the last look. */
  waiting: number
  /** Since when nothing has been taken, on the clock of `performance.now()`. */
  since: number
}

type Answer = ServerResponse | Http2ServerResponse

declare module 'fastify' {
  interface FastifyReply {
    /** Where the answer is in the list of those that are not known to be taken. */
    answerSlot: number
  }
}

/**
 * The answers that were given to Node and are not known to be taken. A Set whose entries come and go leaves tables
 * behind, each of which keeps the next one and every answer that was in it (docs/performance.md); slots of an array are
 * used again.
 */
class GivenAnswers {
  readonly #slots: (Answer | undefined)[] = []
  readonly #free: number[] = []

  /** @returns the slot, to be given to `delete` */
  add(answer: Answer): number {
    const slot = this.#free.pop() ?? this.#slots.length
    this.#slots[slot] = answer
    return slot
  }

  /** Does nothing when the answer is not there any more. */
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
    const given = new GivenAnswers()
    let watched = new Map<Answer, Watched>()

    app.decorateReply('answerSlot', -1)
    app.beforeEachAnswer((_request, reply) => void (reply.answerSlot = given.add(reply.raw)))
    app.afterEachAnswer((_request, { raw, answerSlot }) => given.delete(raw, answerSlot))
    const timer = setInterval(
      () => look(performance.now()),
      Math.min(MAX_INTERVAL, Math.max(MIN_INTERVAL, slowTimeout / LOOKS)),
    ).unref()
    app.addHook('onClose', async () => clearInterval(timer))

    function look(now: number): void {
      const seen = new Map<Answer, Watched>()
      for (const [answer, slot] of given) {
        const waiting = waitingOf(answer, native)
        const last = watched.get(answer)
        if (isGone(answer)) given.delete(answer, slot)
        else if (waiting === 0 || waiting !== last?.waiting) seen.set(answer, { waiting, since: now })
        else if (now - last.since < timeOf(answer, waiting)) seen.set(answer, last)
        else end(answer, slot)
      }
      watched = seen
    }

    function timeOf(answer: Answer, waiting: number): number {
      const isSeen = native.directWriter && !(answer instanceof Http2ServerResponse)
      return isSeen ? slowTimeout : slowTimeout * Math.max(1, waiting / PART)
    }

    function end(answer: Answer, slot: number): void {
      app.log.info({ waiting: waitingOf(answer, native) }, 'answer given up: its client does not read it')
      given.delete(answer, slot)
      if (answer instanceof Http2ServerResponse) answer.stream.destroy()
      else answer.destroy()
    }
  },
  { name: 'fanfare-unread-answers', fastify: '5.x', dependencies: ['fanfare-checks'] },
)

function isGone(answer: Answer): boolean {
  return answer instanceof Http2ServerResponse ? answer.stream.destroyed : answer.destroyed || answer.writableFinished
}

/** How many bytes of an answer its client has not taken; 0: it is not the client that is waited for. */
function waitingOf(answer: Answer, native: NativePaths): number {
  if (answer instanceof Http2ServerResponse) return answer.stream.writableLength
  const { socket } = answer
  if (!socket) return 0 // answers to earlier requests of the connection come first
  // the latter says how much the kernel has taken of one write
  return socket.writableLength + (native.directWriter ? (queueSizeOf(socket) ?? 0) : 0)
}
