/** Counts the responses on a keep-alive connection (RFC 9112). Each response with a body must have a Content-Length. */
export class Responses {
  /** The number of complete responses. */
  count = 0
  /** The first response with another status than 2xx; `undefined`: there was none. */
  failure: string | undefined
  #rest = ''

  /** Reads received bytes. Returns the number of responses that they complete. */
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

/** Returns the end of the first response; -1 if the text does not contain it. */
function endOf(text: string): number {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return -1
  if (text.startsWith('HTTP/1.1 204 ')) return head + 4 // it never has a body
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head)) ?? []
  if (length === undefined) throw new Error(`a response without a Content-Length: ${text.slice(0, head)}`)
  const end = head + 4 + Number(length)
  return end <= text.length ? end : -1
}
