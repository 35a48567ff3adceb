/**
 * A parser of event streams that follows the standard line by line, independent of other code: WHATWG HTML,
 * "Server-sent events", 9.2.5 (parsing) and 9.2.6 (interpreting). It also returns what EventSource discards: comments,
 * unknown fields, and the last event id after each block.
 */

/** A block of a stream: the lines between two blank lines. */
export interface Block {
  /** The dispatched event, if any. */
  event: { type: string; data: string } | undefined
  /** The id of the block; `undefined`: it has none. */
  id: string | undefined
  /** The last event id string after the block. */
  lastEventId: string
  retry: number | undefined
  comments: string[]
  /** Fields that the standard does not define. */
  extra: Record<string, string>
}

/** Reads the stream so far. An incomplete block is not read. */
export function parseStream(bytes: Uint8Array): Block[] {
  const text = new TextDecoder().decode(bytes) // 9.2.5: "UTF-8 decode", which takes one byte order mark off the start
  const lines = text.split(/\r\n|\n|\r/)
  lines.pop() // an incomplete line
  const blocks: Block[] = []
  let idBuffer = ''
  let type = ''
  let data = ''
  let block = emptyBlock()
  for (const line of lines) {
    if (line === '') {
      block.lastEventId = idBuffer // "dispatch the event", step 1
      // steps 2 to 5
      if (data !== '') block.event = { type: type === '' ? 'message' : type, data: data.replace(/\n$/, '') }
      data = type = ''
      blocks.push(block)
      block = emptyBlock()
      continue
    }
    const colon = line.indexOf(':')
    if (colon === 0) {
      block.comments.push(line.slice(1))
      continue
    }
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    switch (field) {
      case 'event':
        type = value
        break
      case 'data':
        data += `${value}\n`
        break
      case 'id':
        if (!value.includes('\0')) block.id = idBuffer = value
        break
      case 'retry':
        if (/^[0-9]+$/.test(value)) block.retry = Number(value)
        break
      default:
        block.extra[field] = value
    }
  }
  return blocks
}

function emptyBlock(): Block {
  return { event: undefined, id: undefined, lastEventId: '', retry: undefined, comments: [], extra: {} }
}
