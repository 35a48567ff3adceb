/** Requests to paste into a terminal or a page. `$TOKEN` stands for the token. */
import { addressOf, topicPath } from './hub/address.js'

export interface Snippets {
  curl: string
  script?: string
}

/** @param listen the code that uses `events`, the `EventSource` */
export function subscribing(topic: string, query: Record<string, string>, listen: string): Snippets {
  const url = addressOf(topicPath(topic, '/events'), query)
  return {
    curl: `curl -N -H "Authorization: Bearer $TOKEN" "${url}"`,
    script: `const answer = await fetch('${addressOf('tickets')}', {
  method: 'POST',
  headers: { Authorization: 'Bearer $TOKEN' },
})
const { ticket } = await answer.json()

const events = new EventSource('${url}${url.includes('?') ? '&' : '?'}ticket=' + ticket)
${listen}`,
  }
}

export function publishing(topic: string): Snippets {
  const url = addressOf(topicPath(topic, '/events'))
  return {
    curl: `curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{"type":"created","data":{"total":12}}' "${url}"`,
    script: `const answer = await fetch('${url}', {
  method: 'POST',
  headers: {
    Authorization: 'Bearer $TOKEN',
    'Content-Type': 'application/json',
  },
  body: JSON.stringify({ type: 'created', data: { total: 12 } }),
})
console.log(answer.status, await answer.json())`,
  }
}

/** @param path the path of a connection */
export function managing(path: string): Snippets {
  const url = addressOf(path)
  return {
    curl: `curl -H "Authorization: Bearer $TOKEN" "${url}"
curl -X DELETE -H "Authorization: Bearer $TOKEN" "${url}"`,
    script: `const url = '${url}'
const headers = { Authorization: 'Bearer $TOKEN' }

const answer = await fetch(url, { headers })
const connection = await answer.json()
console.log(connection.topics, connection.lag)

const { status } = await fetch(url, { method: 'DELETE', headers })
console.log(status)`,
  }
}

/** @param path the path of a list */
export function listing(path: string): Snippets {
  const url = addressOf(path)
  return {
    curl: `curl -H "Authorization: Bearer $TOKEN" "${url}"`,
    script: `const answer = await fetch('${url}', { headers: { Authorization: 'Bearer $TOKEN' } })
console.table(await answer.json())`,
  }
}
