/** The records of a log in memory, as JSON: a value that is read is never the object that was stored. */
import type { RecordChange, Records } from '../log.js'

export class MemoryRecords implements Records {
  readonly #values = new Map<string, string>()
  readonly #onChange: (change: RecordChange) => void

  constructor(onChange: (change: RecordChange) => void) {
    this.#onChange = onChange
  }

  get(key: string): unknown {
    const json = this.#values.get(key)
    return json === undefined ? undefined : JSON.parse(json)
  }

  list(prefix: string): { key: string; value: unknown }[] {
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort()
    return keys.map((key) => ({ key, value: this.get(key) }))
  }

  *walk(prefix: string): Generator<{ key: string; value: unknown }, undefined> {
    for (const key of this.#values.keys()) if (key.startsWith(prefix)) yield { key, value: this.get(key) }
  }

  async put(key: string, value: unknown): Promise<void> {
    this.#values.set(key, JSON.stringify(value))
    this.#onChange({ key, value: this.get(key) })
  }

  async delete(key: string): Promise<void> {
    if (this.#values.delete(key)) this.#onChange({ key, value: undefined })
  }
}
