import { setImmediate as turn } from 'node:timers/promises'
import type { Chunk } from '../../src/wire/chunk.js'
import type { Lender, Sink, SinkListener } from '../../src/wire/sink.js'
import { parseStream, type Block } from './reference-parser.js'

/** How many turns of the event loop, and milliseconds, something has to have taken before a test gives up. */
const PATIENCE = { turns: 100, time: 8_000 }

/** A sink that keeps what it is sent, and is full, drains and closes when it is told to. */
export class FakeSink implements Sink {
  listener: SinkListener | undefined
  readonly writes: Buffer[] = []
  /** What `end` was given. */
  last: Buffer | undefined
  /** Whether writing was answered with `false` since it was last drained. */
  isFull = false
  isClosed = false
  /** How many bytes it was sent while it was full. */
  overflow = 0
  /** How many writes came after it was closed or ended. */
  late = 0
  /** Called after each write, before it is answered. */
  onWrite: (() => void) | undefined
  /** How many more writes it takes before it is full. */
  #room = Infinity
  /** What it has been given since it was full. */
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

  /** As a socket, it reads what it was given no sooner than it has room; what was lent may be overwritten then. */
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

  /** Is full after that many writes. */
  stall(writes = 1): void {
    this.#room = Math.max(1, writes)
  }

  /** Has room again, and says so if it was full. */
  drain(writes = Infinity): void {
    this.#room = Math.max(1, writes)
    if (!this.isFull) return
    this.isFull = false
    this.#send()
    this.listener?.drained()
  }

  /** The peer goes away. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.listener?.closed()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.writes)
  }

  /** What a client has read of it. */
  get blocks(): Block[] {
    return parseStream(this.bytes)
  }

  /** The data of the events that were published, without the hub's own. */
  get data(): string[] {
    return this.blocks.flatMap(({ event }) => (event && !event.type.startsWith('fanfare.') ? [event.data] : []))
  }

  /** The data of the hub's own events of one kind: `open`, `gap`, `live`, `heartbeat`, `close`. */
  told(name: string): unknown[] {
    return this.blocks.flatMap(({ event }) =>
      event?.type === `fanfare.${name}` ? [JSON.parse(event.data) as unknown] : [],
    )
  }

  /** The last event id that a client has. */
  get lastEventId(): string | undefined {
    return this.blocks.at(-1)?.lastEventId
  }
}

/** Waits, turn after turn of the event loop, until a condition is true. */
export async function until(condition: () => boolean, describe = () => 'it did not come true'): Promise<void> {
  const end = performance.now() + PATIENCE.time
  for (let turns = 0; !condition(); turns++) {
    if (turns > PATIENCE.turns && performance.now() > end) throw new Error(describe())
    await turn()
  }
}

/** Lets pass what happens by itself within a few turns of the event loop: for what must not happen. */
export async function settle(turns = 20): Promise<void> {
  for (let n = 0; n < turns; n++) await turn()
}
