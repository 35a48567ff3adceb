/** The ids of connections. An id names the node that holds the stream, so that any process finds it. */
import { randomBytes } from 'node:crypto'

/** The bytes of the random part, and its length in base64url. */
const BYTES = 12
const LENGTH = 16

/** Draws the id of a new connection. */
export function drawConnectionId(node: string): string {
  return `${node}-${randomBytes(BYTES).toString('base64url')}`
}

/** Returns the node in the id of a connection; `undefined`: the id names none. */
export function nodeOf(id: string): string | undefined {
  const end = id.length - LENGTH - 1
  return end > 0 && id[end] === '-' ? id.slice(0, end) : undefined
}
