/** The requests of publishers. */
export function postRequest(path: string, token: string, body: object): Buffer {
  const json = JSON.stringify(body)
  const headers = ['content-type: application/json', `content-length: ${Buffer.byteLength(json)}`]
  return Buffer.from(`${requestHead(`POST ${path} HTTP/1.1`, token, headers)}${json}`)
}

/** Returns the head of a request (RFC 9112). */
export function requestHead(line: string, token: string, headers: readonly string[]): string {
  return [line, 'host: localhost', `authorization: Bearer ${token}`, ...headers, '\r\n'].join('\r\n')
}
