import { setImmediate as turn } from 'node:timers/promises'
import type { Chunk } from '../../src/wire/chunk.js'
import type { Lender, Sink, SinkListener } from '../../src/wire/sink.js'
import { parseStream, type Block } from './reference-parser.js'

/** The limits after which a wait fails, in turns of the event loop and in milliseconds. */
const TIME_LIMITS = { turns: 100, time: 8_000 }

/** A sink that records its writes. The test decides when it is full, drains and closes. */
export class FakeSink implements Sink {
  listener: SinkListener | undefined
  readonly writes: Buffer[] = []
  /** The argument of `end`. */
  last: Buffer | undefined
  /** Whether a write has returned `false` since the last drain. */
  isFull = false
  isClosed = false
  /** The bytes that it was sent while it was full. */
  overflow = 0
  /** The number of writes after it was closed or ended. */
  late = 0
  /** Called after each write, before the write returns. */
  onWrite: (() => void) | undefined
  /** The number of writes until it is full. */
  #room = Infinity
  /** The chunks since it became full. */
  readonly #unsent: { index: number; lender: Lender | undefined }[] = []

  write(chunk: Chunk, lender?: Lender): boolean {
    const bytes = chunk.plain
    if (this.isClosed) {
      this.late++
      return true
    }
    if (this.isFull) this.overflow += bytes.length
    this.#unsent.push({ index: this.writes.push(bytes) - 1, lender })
    this.onWrite?.()
    if (--this.#room > 0) {
      this.#send()
      return true
    }
    this.isFull = true
    return false
  }

  /** Copies pending bytes no sooner than it has room, as a socket does. Lent bytes may be overwritten by then. */
  #send(): void {
    for (const { index, lender } of this.#unsent.splice(0)) {
      if (!lender) continue
      this.writes[index] = Buffer.from(this.writes[index]!)
      lender.release()
    }
  }

  end(chunk: Chunk): void {
    if (this.isClosed) {
      this.late++
      return
    }
    this.last = chunk.plain
    this.writes.push(chunk.plain)
    this.close()
  }

  /** Becomes full after `writes` more writes. */
  stall(writes = 1): void {
    this.#room = Math.max(1, writes)
  }

  /** Has room again, and notifies the stream if it was full. */
  drain(writes = Infinity): void {
    this.#room = Math.max(1, writes)
    if (!this.isFull) return
    this.isFull = false
    this.#send()
    this.listener?.drained()
  }

  /** Closes the peer's side. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.listener?.closed()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.writes)
  }

  /** The blocks that a client has read. */
  get blocks(): Block[] {
    return parseStream(this.bytes)
  }

  /** The data of the published events, without blocks of the hub. */
  get data(): string[] {
    return this.blocks.flatMap(({ event }) => (event && !event.type.startsWith('fanfare.') ? [event.data] : []))
  }

  /** The data of the hub's blocks of one kind: `open`, `gap`, `live`, `heartbeat`, `close`. */
  told(name: string): unknown[] {
    return this.blocks.flatMap(({ event }) =>
      event?.type === `fanfare.${name}` ? [JSON.parse(event.data) as unknown] : [],
    )
  }

  /** The last event id of the client. */
  get lastEventId(): string | undefined {
    return this.blocks.at(-1)?.lastEventId
  }
}

/** Waits, turn after turn of the event loop, until a condition is true. */
export async function until(
  condition: () => boolean,
  describe = () => 'the condition did not become true',
): Promise<void> {
  const end = performance.now() + TIME_LIMITS.time
  for (let turns = 0; !condition(); turns++) {
    if (turns > TIME_LIMITS.turns && performance.now() > end) throw new Error(describe())
    await turn()
  }
}

/** Waits for a few turns of the event loop, before a check that something has not happened. */
export async function settle(turns = 20): Promise<void> {
  for (let n = 0; n < turns; n++) await turn()
}
