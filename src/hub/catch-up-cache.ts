/** Batches of the log. Each is read and encoded once for all streams that need it at about the same time. */
import type { EventLog } from '../log/log.js'
import { BATCH_BYTES, type Feed } from './feed.js'
import { BatchBuffers, CatchUpBatch, type CatchUpSource } from './catch-up-batch.js'
import type { Encoder } from '../wire/sse.js'

/**
 * The maximum number of cached batches. The cache is an array: a Map with entries that come and go leaves old tables
 * behind, each of which keeps the next table and its entries alive (docs/performance.md).
 */
const KEPT = 32

export class CatchUpCache {
  readonly #source: CatchUpSource
  /** Oldest first. */
  readonly #kept: CatchUpBatch[] = []

  /** @param head returns the newest sequence that streams may be sent */
  constructor(log: EventLog, encoder: Encoder, head: () => number) {
    this.#source = { log, encoder, head, buffers: new BatchBuffers() }
  }

  /**
   * Returns the batch after a cursor. The caller holds the batch, and must release it or give it to a sink as the
   * lender of its bytes.
   * @throws HubError `log-unavailable`
   */
  async after(feed: Feed, after: number): Promise<CatchUpBatch> {
    const batch = this.#find(feed, after) ?? this.#begin(feed, after)
    batch.hold()
    try {
      await batch.read
    } catch (err) {
      this.#forget(batch)
      batch.release()
      throw err
    }
    // an empty batch may be out of date soon, and a large one takes much memory
    if (batch.events === 0 || batch.chunk.length > BATCH_BYTES) this.#forget(batch)
    return batch
  }

  #find(feed: Feed, after: number): CatchUpBatch | undefined {
    const { mark } = this.#source.log.view
    for (let index = this.#kept.length - 1; index >= 0; index--) {
      const batch = this.#kept[index]!
      if (batch.after === after && batch.feedId === feed.id && batch.readAt === mark) return batch
    }
    return undefined
  }

  #begin(feed: Feed, after: number): CatchUpBatch {
    const batch = new CatchUpBatch(this.#source, feed, after)
    this.#kept.push(batch)
    if (this.#kept.length > KEPT) this.#kept.shift()!.release()
    return batch
  }

  #forget(batch: CatchUpBatch): void {
    const index = this.#kept.indexOf(batch)
    if (index >= 0) this.#kept.splice(index, 1)[0]!.release()
  }
}
