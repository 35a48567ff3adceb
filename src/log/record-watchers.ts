/** Tells those who watch records what is there, and then what changes. */
import type { KeptRecord, RecordChange } from './log.js'

interface Watcher {
  readonly prefix: string
  readonly onChange: (change: RecordChange) => void
  /** Changes that were made while the records were walked through; `undefined`: that is over. */
  pending: RecordChange[] | undefined
}

export class RecordWatchers {
  readonly #watchers = new Set<Watcher>()

  /** Tells of changes that are durable, in order. */
  changed(changes: readonly RecordChange[]): void {
    for (const { prefix, onChange, pending } of this.#watchers) {
      for (const change of changes) {
        if (!change.key.startsWith(prefix)) continue
        if (pending) pending.push(change)
        else onChange(change)
      }
    }
  }

  /**
   * As `KeyValue.watch`.
   * @param walk visits each record with the prefix. What it visits has every change that `changed` has been told of
   */
  async watch(
    prefix: string,
    walk: (visit: (record: KeptRecord) => void) => Promise<void>,
    onChange: (change: RecordChange) => void,
  ): Promise<() => void> {
    const pending: RecordChange[] = []
    const watcher: Watcher = { prefix, onChange, pending }
    const stop = () => void this.#watchers.delete(watcher)
    this.#watchers.add(watcher)
    /** How many of the changes a record has that was visited. */
    const included = new Map<string, number>()
    try {
      await walk((record) => {
        included.set(record.key, pending.length)
        onChange(record)
      })
    } catch (err) {
      stop()
      throw err
    }
    // what a listener changes meanwhile is added at the end
    for (let index = 0; index < pending.length; index++) {
      const change = pending[index]!
      if (index >= (included.get(change.key) ?? 0)) onChange(change)
    }
    watcher.pending = undefined
    return stop
  }
}
