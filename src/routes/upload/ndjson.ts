/** Publishes newline-delimited JSON: reads lines as they arrive, and stores them in batches with backpressure. */
import type { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Problem } from '../../errors.js'
import { HubError } from '../../model/hub-error.js'
import type { Hub } from '../../hub/hub.js'
import type { TraceContext } from '../../model/trace-context.js'
import { TimeSlice } from '../../event-loop/time-slice.js'
import { Waiting } from '../../server/body-timeout.js'
import { withoutMark } from '../../plugins/bodies.js'
import type { StreamReceipt } from '../../schemas/event.js'
import { IncomingEvents, LARGE_EVENT, type Publisher } from './incoming-events.js'
import { isBlank, readLines, type Line } from './lines.js'
import { Storing } from './storing.js'

export interface UploadLimits {
  /** The maximum size of a payload, in bytes. */
  maxEventSize: number
  /** The maximum time between two lines, in milliseconds. A blank line counts as a line. */
  uploadIdle: number
}

/**
 * Publishes one event per line. Stored events stay stored when a later line is refused.
 * @param publisher called for each line, and again before events are stored
 * @param trace the trace that the request belongs to
 * @throws Problem with the members `line` (the first line that is not stored, from 1) and `accepted`
 */
export async function publishLines(
  hub: Hub,
  publisher: Publisher,
  body: Readable,
  { maxEventSize, uploadIdle }: UploadLimits,
  trace?: TraceContext,
): Promise<StreamReceipt> {
  const upload = new Upload(hub, publisher, maxEventSize, trace)
  const check = () => {
    publisher() // ends an upload of blank lines, or without lines, when its token expires
    hub.requireTime()
  }
  const waiting = new Waiting(uploadIdle, 'A line', check)
  try {
    try {
      for await (const lines of readLines(body, upload.maxLength, waiting)) {
        check()
        await upload.take(lines)
        waiting.renew()
        await upload.room()
      }
    } finally {
      await upload.end()
    }
  } catch (err) {
    throw upload.locate(err)
  }
  return upload.receipt
}

/** Parses, checks and stores the lines of one upload. */
class Upload {
  readonly #events: IncomingEvents
  readonly #storing: Storing
  /** The number of the next line. All lines before it are stored or queued. */
  #line = 1

  constructor(hub: Hub, publisher: Publisher, maxEventSize: number, trace: TraceContext | undefined) {
    this.#events = new IncomingEvents(hub, publisher, maxEventSize, 'line', trace)
    this.#storing = new Storing(hub, publisher)
  }

  /** The maximum size of a line, in bytes. */
  get maxLength(): number {
    return this.#events.maxLength
  }

  get receipt(): StreamReceipt {
    return this.#storing.receipt
  }

  async take(lines: Iterable<Line>): Promise<void> {
    let slice = new TimeSlice()
    for (const sent of lines) {
      // concatenated files have byte order marks at the start of later lines
      const text = typeof sent === 'string' ? sent : withoutMark(sent)
      if (!isBlank(text)) {
        const input = this.#events.parse(text)
        if (text.length > LARGE_EVENT) await nextTurn()
        this.#storing.add(this.#events.check(input, ''), this.#line, text.length)
      }
      this.#line++
      if (this.#storing.isFull) await this.#storing.room()
      if (!slice.isOver) continue
      await nextTurn()
      slice = new TimeSlice()
    }
  }

  /** Resolves when `take` may be called again. Rejects if events could not be stored. */
  room(): Promise<void> {
    return this.#storing.room()
  }

  /** Resolves when all events are stored. Rejects if events could not be stored. */
  end(): Promise<void> {
    return this.#storing.end()
  }

  /** Adds the refused line and the number of stored events to an error. */
  locate(err: unknown): unknown {
    return locate(err, this.#storing.failedAt ?? this.#line, this.receipt.accepted)
  }
}

function locate(err: unknown, line: number, accepted: number): unknown {
  if (err instanceof Problem)
    return new Problem(err.code, `Line ${line}: ${err.message}`, { ...err.extensions, line, accepted })
  if (err instanceof HubError)
    return new Problem(
      err.code === 'hub-closed' ? 'draining' : err.code,
      `Line ${line}: ${err.message}`,
      { ...(err.errors && { errors: err.errors }), line, accepted },
      { cause: err },
    )
  return err
}
