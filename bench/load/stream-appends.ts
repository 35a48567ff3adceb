/** Appends to finite topics by the Durable Streams protocol. Each writer has a topic and a connection of its own. */
import { createToken } from '../token.js'
import { now } from './clock.js'
import { requestHead } from './request.js'
import { sendOneByOne } from './sequential.js'

export interface StreamAppendsPlan {
  port: number
  /** The path of the topic of each writer. */
  paths: readonly string[]
  /** The number of appends of all writers together. */
  appends: number
  /** The size of a message, in bytes. */
  payload: number
}

/**
 * Returns the time from the first write to the last answer, in seconds.
 * @throws Error if an append is refused
 */
export async function appendToStreams({ port, paths, appends, payload }: StreamAppendsPlan): Promise<number> {
  const token = createToken('writer')
  const body = 'x'.repeat(payload)
  const headers = ['content-type: text/plain', `content-length: ${payload}`]
  const startedAt = now()
  let left = appends
  const isMore = () => left-- > 0
  await Promise.all(
    paths.map((path) => {
      const head = requestHead(`POST ${path} HTTP/1.1`, token, headers)
      return sendOneByOne(port, Buffer.from(head + body), isMore)
    }),
  )
  return (now() - startedAt) / 1e6
}
