import http from 'node:http'
import type { Answer } from './http.js'
import { within } from './deadline.js'

/** Uploads NDJSON on its own connection, which is not reused. */
export async function upload<Body = unknown>(url: string, lines: string, token: string): Promise<Answer<Body>> {
  const sending = http.request(`${url}/events`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-ndjson',
      'content-length': Buffer.byteLength(lines),
    },
  })
  const answer = new Promise<Answer<Body>>((resolve, reject) => {
    sending.on('error', reject)
    sending.once('response', (response) => {
      response
        .setEncoding('utf8')
        .reduce<string>((text, part: string) => text + part, '')
        .then((text) => {
          const headers = new Headers(
            Object.entries(response.headers).map(([name, value]): [string, string] => [name, String(value)]),
          )
          resolve({ status: response.statusCode ?? 0, headers, body: JSON.parse(text) as Body })
        })
        .catch(reject)
    })
  })
  sending.end(lines)
  return within(answer, () => 'the upload is not answered')
}
