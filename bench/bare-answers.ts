/**
 * The comparison for `answers`: a Node server with the usual lines around `res.write`. It keeps each answer in an array
 * and writes it to its readers, without tokens, a log or a limit.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Answer {
  blocks: string[]
  hasEnded: boolean
  readers: Set<ServerResponse>
}

const answers = new Map<string, Answer>()

const server = createServer((request, response) => {
  const name = request.url!.replace(/^\/(streams|topics)\//, '').replace(/(\/events)?(\?.*)?$/, '')
  const topic = name.replaceAll('/', '.')
  if (request.method === 'GET') read(answers.get(topic)!, request, response)
  else if (request.method === 'POST') void write(answers.get(topic)!, request, response)
  else {
    answers.set(topic, { blocks: [], hasEnded: false, readers: new Set() })
    response.writeHead(201, { 'content-length': 0 }).end()
  }
})

/** Sends what follows the last id, and then each token. */
function read(answer: Answer, { headers }: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('retry: 2000\n\n')
  for (const block of answer.blocks.slice(Number(headers['last-event-id'] ?? 0))) response.write(block)
  if (answer.hasEnded) response.end()
  answer.readers.add(response)
  response.once('close', () => answer.readers.delete(response))
}

async function write(answer: Answer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const part of request.setEncoding('utf8')) text += part as string
  const id = answer.blocks.length + 1
  answer.hasEnded = request.headers['stream-closed'] === 'true'
  const block = answer.hasEnded ? 'event: fanfare.end\ndata: {}\n\n' : `id: ${id}\n${text.replace(/^/gm, 'data: ')}\n\n`
  answer.blocks.push(block)
  for (const reader of answer.readers) {
    reader.write(block)
    if (answer.hasEnded) reader.end()
  }
  response.writeHead(204).end()
}

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }))
})
