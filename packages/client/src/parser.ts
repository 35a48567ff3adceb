/** Parses an event stream (WHATWG HTML, "Server-sent events", 9.2.5 and 9.2.6). */

/** One block of a stream. */
export interface Block {
  /** The last `id:` of the block. */
  id?: string
  /** The type: the last `event:`. */
  event?: string
  /** The `topic:` of a stream of several topics, which is a field of the hub. */
  topic?: string
  /** The lines of `data:`, joined by LF; missing if there was none. */
  data?: string
}

/**
 * Creates a parser.
 * @param onBlock called at the end of each block that has an `id:` or `data:`. A browser dispatches no event for a
 *   block without data, but takes its id
 * @param onRetry called with the value of `retry:`, in milliseconds
 * @returns takes the next piece of the text, without a byte order mark
 */
export function createParser(
  onBlock: (block: Block) => void,
  onRetry: (retry: number) => void,
): (piece: string) => void {
  let rest = ''
  let endedWithCr = false
  let block: Block = {}

  function take(line: string): void {
    if (line === '') {
      if (block.id !== undefined || block.data !== undefined) onBlock(block)
      block = {}
      return
    }
    const [field = ''] = line.split(':', 1) // that of a comment is empty
    const value = line.slice(field.length + 1).replace(/^ /, '')
    if (field === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`
    else if (field === 'event' || field === 'topic') block[field] = value
    else if (field === 'id') {
      if (!value.includes('\0')) block.id = value
    } else if (field === 'retry' && /^\d+$/.test(value)) onRetry(Number(value))
  }

  return (piece) => {
    if (piece === '') return
    const lines = (endedWithCr ? piece.replace(/^\n/, '') : piece).split(/\r\n?|\n/)
    endedWithCr = piece.endsWith('\r')
    lines[0] = rest + lines[0]!
    rest = lines.pop()!
    lines.forEach(take)
  }
}
