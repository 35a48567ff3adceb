/** The publisher ids that a log in memory remembers: while their events are retained, and for a window at least. */
import TinyQueue from 'tinyqueue'

/** What an id takes beside its characters and those of its topic: the key, the entry, and its place in two tables. */
const ID_OVERHEAD = 200

/** An id of a topic. */
interface Remembered {
  readonly key: string
  readonly sequence: number
  /** Until when, by the log's clock; `Infinity`: its event is retained. */
  until: number
}

export class PublisherIds {
  /** What the ids take whose events are gone, in bytes. */
  orphanBytes = 0
  readonly #ids = new Map<string, Remembered>()
  /** The ids whose events are gone, the first to be forgotten first. */
  readonly #orphans = new TinyQueue<Remembered>([], (a, b) => a.until - b.until)

  /** The sequence of the event with an id; `undefined`: the id is not remembered. */
  find(topic: string, id: string, now: number): number | undefined {
    const found = this.#ids.get(keyOf(topic, id))
    return found && found.until > now ? found.sequence : undefined
  }

  /** Remembers the id of an event. */
  add(topic: string, id: string, sequence: number): void {
    const key = keyOf(topic, id)
    this.#ids.set(key, { key, sequence, until: Infinity })
  }

  /** The event of an id is gone: the id is remembered until its window is over. */
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

  /** Forgets an id whose window is over. Returns whether there was one. */
  forgetOne(now: number): boolean {
    const orphan = this.#orphans.peek()
    if (!orphan || orphan.until > now) return false
    this.#orphans.pop()
    this.orphanBytes -= sizeOf(orphan.key)
    // else an event has been published with it again
    if (this.#ids.get(orphan.key) === orphan) this.#ids.delete(orphan.key)
    return true
  }
}

/** What the id of a retained event takes in the heap, beside the event's own string. */
export function idSize(topic: string, id: string): number {
  return ID_OVERHEAD + topic.length + id.length
}

/** No topic has a space in it. */
function keyOf(topic: string, id: string): string {
  return `${topic} ${id}`
}

function sizeOf(key: string): number {
  return ID_OVERHEAD + key.length - 1
}
