/** A request of a publisher, ready to be written. */
import { createToken } from '../token.js'

/** @param subject whose token it has */
export function postRequest(path: string, subject: string, body: object): Buffer {
  const json = JSON.stringify(body)
  return Buffer.from(
    [
      `POST ${path} HTTP/1.1`,
      'host: localhost',
      `authorization: Bearer ${createToken(subject)}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(json)}`,
      '',
      json,
    ].join('\r\n'),
  )
}
