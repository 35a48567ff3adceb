/** Gives each watcher of records the existing records, and then the changes. */
import type { KeptRecord, RecordChange } from './log.js'

interface Watcher {
  readonly prefix: string
  readonly onChange: (change: RecordChange) => void
  /** The keys that the watcher has been given and that have not been deleted. */
  readonly known: Set<string>
  /** Changes during the walk through the records; `undefined`: the walk is over. */
  pending: RecordChange[] | undefined
}

/** Visits each record with a prefix. A visited record includes every change that `changed` has been called with. */
type Walk = (prefix: string, visit: (record: KeptRecord) => void) => Promise<void>

export class RecordWatchers {
  readonly #watchers = new Set<Watcher>()

  /** Gives the watchers durable changes, in order. */
  changed(changes: readonly RecordChange[]): void {
    for (const watcher of this.#watchers) {
      for (const change of changes) {
        if (!change.key.startsWith(watcher.prefix)) continue
        if (watcher.pending) watcher.pending.push(change)
        else tell(watcher, change)
      }
    }
  }

  /** As `KeyValue.watch`. */
  async watch(prefix: string, walk: Walk, onChange: (change: RecordChange) => void): Promise<() => void> {
    const watcher: Watcher = { prefix, onChange, known: new Set(), pending: [] }
    const stop = () => void this.#watchers.delete(watcher)
    this.#watchers.add(watcher)
    try {
      await this.#begin(watcher, walk)
    } catch (err) {
      stop()
      throw err
    }
    return stop
  }

  /**
   * Gives the watchers the changes that were not passed to `changed`: the existing records, and deletions of the
   * others. A record that has not changed is given again.
   */
  async resync(walk: Walk): Promise<void> {
    for (const watcher of this.#watchers) {
      const gone = new Set(watcher.known)
      watcher.pending ??= []
      await this.#begin(watcher, (prefix, visit) =>
        walk(prefix, (record) => {
          gone.delete(record.key)
          visit(record)
        }).then(() => {
          for (const key of gone) tell(watcher, { key, value: undefined })
        }),
      )
    }
  }

  /** Gives a watcher the existing records, and then the changes since. */
  async #begin(watcher: Watcher, walk: Walk): Promise<void> {
    const pending = watcher.pending!
    /** The number of pending changes that a visited record includes. */
    const included = new Map<string, number>()
    await walk(watcher.prefix, (record) => {
      included.set(record.key, pending.length)
      tell(watcher, record)
    })
    // a change by a listener is appended to `pending`
    for (let index = 0; index < pending.length; index++) {
      const change = pending[index]!
      if (index >= (included.get(change.key) ?? 0)) tell(watcher, change)
    }
    watcher.pending = undefined
  }
}

function tell({ known, onChange }: Watcher, change: RecordChange): void {
  if (change.value === undefined) known.delete(change.key)
  else known.add(change.key)
  onChange(change)
}
