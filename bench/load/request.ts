/** The requests of publishers. */
import { createToken } from '../token.js'

/** @param subject the subject of its token */
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
