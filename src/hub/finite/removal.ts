/**
 * Removes finite topics. A topic is first marked as deleted, so that no process appends any more, then its events are
 * purged, and then its record is deleted. While it has forks, which read its events, it stays marked.
 */
import type { EventLog } from '../../log/log.js'
import type { Entry } from './entry.js'
import { keyOf, type FiniteRecord } from './finite-record.js'
import type { EndStatus } from './finite-topic.js'

export interface RemovalSource {
  log: EventLog
  load: (entry: Entry) => Promise<void>
  catchUp: () => Promise<void>
  hasForks: (topic: string) => boolean
  end: (entry: Entry, status: EndStatus) => Promise<unknown>
  onError: (err: unknown, message: string) => void
}

export class Removal {
  readonly #source: RemovalSource
  readonly #running = new Map<Entry, Promise<void>>()

  constructor(source: RemovalSource) {
    this.#source = source
  }

  /**
   * Removes a topic. Its subscribers get the end of an open topic first.
   * @param status how an open topic ends
   * @throws HubError `log-unavailable`: the removal is continued later
   */
  remove(entry: Entry, status: EndStatus): Promise<void> {
    let running = this.#running.get(entry)
    if (!running) {
      running = this.#remove(entry, status).finally(() => this.#running.delete(entry))
      this.#running.set(entry, running)
    }
    return running
  }

  /** Continues the removal of a topic that was marked as deleted. */
  later(entry: Entry): void {
    this.remove(entry, 'cancelled').catch((err: unknown) =>
      this.#source.onError(err, 'a finite topic could not be removed'),
    )
  }

  async #remove(entry: Entry, status: EndStatus): Promise<void> {
    const { log, catchUp, hasForks, end, load } = this.#source
    const { topic } = entry
    await load(entry)
    const isHere = !entry.isGone && !entry.record.deleted && entry.record.epoch === log.view.epoch
    if (isHere && !entry.isPending && entry.fold?.status === 'open') await end(entry, status)
    const record = await this.#mark(entry)
    if (!record) return
    await catchUp() // a fork that another process was creating is known now, or will see the mark
    if (hasForks(topic)) return
    await log.purge(topic)
    if (!(await log.records.swap(keyOf(topic), record, undefined))) return
    // an append that was under way may have been stored after the purge
    if ((await log.topic(topic))?.events) await log.purge(topic)
  }

  /** Marks a topic as deleted. Returns its record then; `undefined`: it is gone. */
  async #mark(entry: Entry): Promise<FiniteRecord | undefined> {
    for (;;) {
      const { record } = entry
      if (entry.isGone) return undefined
      if (record.deleted) return record
      const deleted: FiniteRecord = { ...record, deleted: true }
      if (await this.#source.log.records.swap(keyOf(entry.topic), record, deleted)) return deleted
      await this.#source.catchUp()
    }
  }
}
