/** Gives each watcher of records the existing records, and then the changes. */
import type { KeptRecord, RecordChange } from './log.js'

interface Watcher {
  readonly prefix: string
  readonly onChange: (change: RecordChange) => void
  /** Changes during the walk through the records; `undefined`: the walk is over. */
  pending: RecordChange[] | undefined
}

export class RecordWatchers {
  readonly #watchers = new Set<Watcher>()

  /** Gives the watchers durable changes, in order. */
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
   * @param walk visits each record with the prefix. A visited record includes every change that `changed` has been
   *   called with
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
    /** The number of pending changes that a visited record includes. */
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
    // a change by a listener is appended to `pending`
    for (let index = 0; index < pending.length; index++) {
      const change = pending[index]!
      if (index >= (included.get(change.key) ?? 0)) onChange(change)
    }
    watcher.pending = undefined
    return stop
  }
}
