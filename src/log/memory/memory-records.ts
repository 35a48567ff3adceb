/** The records of a log in memory, as JSON: a value that is read is never the object that was stored. */
import type { Records } from '../log.js'

export class MemoryRecords implements Records {
  readonly #values = new Map<string, string>()

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
  }

  async delete(key: string): Promise<void> {
    this.#values.delete(key)
  }
}
