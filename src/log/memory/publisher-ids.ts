/** The publisher ids that a memory log remembers: while their events are retained, and for at least a window. */
import TinyQueue from 'tinyqueue'

/**
 * The bytes of an id besides the characters of the id and its topic: the key, the entry, and its slots in two tables.
 */
const ID_OVERHEAD = 200

/** A publisher id of a topic. */
interface Remembered {
  readonly key: string
  readonly sequence: number
  /** When the id is forgotten, on the log's clock; `Infinity`: its event is retained. */
  until: number
}

export class PublisherIds {
  /** The bytes of the ids whose events were trimmed. */
  orphanBytes = 0
  readonly #ids = new Map<string, Remembered>()
  /** The ids whose events were trimmed. The next id to forget comes first. */
  readonly #orphans = new TinyQueue<Remembered>([], (a, b) => a.until - b.until)

  /** Returns the sequence of the event with an id; `undefined`: the id is not remembered. */
  find(topic: string, id: string, now: number): number | undefined {
    const found = this.#ids.get(keyOf(topic, id))
    return found && found.until > now ? found.sequence : undefined
  }

  /** Remembers the id of an event. */
  add(topic: string, id: string, sequence: number): void {
    const key = keyOf(topic, id)
    this.#ids.set(key, { key, sequence, until: Infinity })
  }

  /** Remembers the id of a trimmed event until its window is over. */
  orphan(topic: string, id: string, sequence: number, { until, now }: { until: number; now: number }): void {
    const found = this.#ids.get(keyOf(topic, id))
    if (found?.sequence !== sequence) return
    found.until = until
    if (until <= now) {
      this.#ids.delete(found.key)
      return
    }
    this.#orphans.push(found)
    this.orphanBytes += sizeOf(found.key)
  }

  /**
   * Forgets an id whose window is over.
   * @returns whether an id was forgotten
   */
  forgetOne(now: number): boolean {
    const orphan = this.#orphans.peek()
    if (!orphan || orphan.until > now) return false
    this.#orphans.pop()
    this.orphanBytes -= sizeOf(orphan.key)
    // otherwise a newer event has the same id
    if (this.#ids.get(orphan.key) === orphan) this.#ids.delete(orphan.key)
    return true
  }
}

/** Returns the bytes of the id of a retained event in the heap, without the event's own string. */
export function idSize(topic: string, id: string): number {
  return ID_OVERHEAD + topic.length + id.length
}

/** Returns the key of an id: no topic contains the space that separates the two. */
function keyOf(topic: string, id: string): string {
  return `${topic} ${id}`
}

function sizeOf(key: string): number {
  return ID_OVERHEAD + key.length - 1
}
