/** Splits messages that are larger than a NATS server allows into parts, and joins the parts of a sender. */

/** The bytes of a message that its headers may use. Half of a small message is for them. */
const HEADERS_MOST = 4_096

/**
 * Splits a payload.
 * @param maxPayload the maximum size of a message with its headers, in bytes
 * @returns at least one part
 */
export function splitPayload(payload: string, maxPayload: number): Uint8Array[] {
  const bytes = Buffer.from(payload)
  const size = Math.ceil(maxPayload - Math.min(HEADERS_MOST, maxPayload / 2))
  const parts = [bytes.subarray(0, size)]
  for (let start = size; start < bytes.length; start += size) parts.push(bytes.subarray(start, start + size))
  return parts
}

/** Returns the label of a part: the message's number, the part's number from 1 on, and the number of parts. */
export function labelOf(message: number, part: number, parts: number): string {
  return `${message}/${part}/${parts}`
}

/** Joins the parts of messages. A sender sends the parts of a message one after the other. */
export class PartJoiner {
  /** The message of each sender whose last part has not arrived yet. */
  readonly #begun = new Map<string, { message: string; parts: Uint8Array[] }>()

  /**
   * Takes a part of a message.
   * @param label as from `labelOf`
   * @returns the whole payload with the last part; `undefined`: a part is missing, or still to come
   */
  join(from: string, label: string, data: Uint8Array): Uint8Array | undefined {
    const [message = '', part, count] = label.split('/')
    if (part === '1') this.#begun.set(from, { message, parts: [] })
    const begun = this.#begun.get(from)
    if (begun?.message !== message || begun.parts.push(data) !== Number(part)) {
      this.#begun.delete(from)
      return undefined
    }
    if (part !== count) return undefined
    this.#begun.delete(from)
    return Buffer.concat(begun.parts)
  }

  /** Forgets the parts of a sender. */
  forget(from: string): void {
    this.#begun.delete(from)
  }
}
