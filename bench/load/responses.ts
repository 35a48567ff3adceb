/**
 * Reads the responses on a keep-alive connection (RFC 9112), as far as a publisher needs them: each has a
 * Content-Length.
 */
export class Responses {
  /** How many have been complete. */
  count = 0
  /** The first that was no success, as text; `undefined`: there was none. */
  failure: string | undefined
  #rest = ''

  /** Takes what has come. Returns how many responses it completed. */
  read(bytes: Buffer, length: number): number {
    let text = this.#rest + bytes.toString('latin1', 0, length)
    let complete = 0
    for (let end = endOf(text); end !== -1; end = endOf(text)) {
      if (!text.startsWith('HTTP/1.1 2')) this.failure ??= text.slice(0, end)
      text = text.slice(end)
      complete++
    }
    this.#rest = text
    this.count += complete
    return complete
  }
}

/** Where the first response ends; -1: not in this text. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return -1
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head)) ?? []
  if (length === undefined) throw new Error(`a response without a Content-Length: ${text.slice(0, head)}`)
  const end = head + 4 + Number(length)
  return end <= text.length ? end : -1
}
