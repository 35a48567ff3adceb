/** A server that answers streams as a test says. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'

const EPOCH = 'abcdefgh'
export const STREAM = { 'content-type': 'text/event-stream; charset=utf-8' }

/**
 * Serves prepared answers to streams, in order; later ones get 500. A change of a stream's topics is accepted.
 * @returns the URL
 */
export async function scripted(t: Test, answers: ((response: ServerResponse) => void)[]): Promise<string> {
  const server = createServer((request, response) => {
    if (request.method === 'PATCH') void change(request, response)
    else (answers.shift() ?? (() => response.writeHead(500).end()))(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function change(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { subscribe } = (await json(request)) as { subscribe: string[] }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ topics: subscribe }))
}

export function opening(topics: string[], id = 0): string {
  return `id: ${EPOCH}-${id}\nevent: fanfare.open\ndata: ${JSON.stringify({ connection: 'c', topics })}\n\n`
}

export function event(n: number, topic: string): string {
  const content = { id: `${EPOCH}-${n}`, topic, time: '2026-11-30T00:00:00Z', data: n }
  return `id: ${EPOCH}-${n}\ndata: ${JSON.stringify(content)}\n\n`
}

export function live(n: number): string {
  return `event: fanfare.live\nid: ${EPOCH}-${n}\ndata: {}\n\n`
}

/** The end of a finite topic. @param topic on streams of several topics */
export function ending(n: number, status: string, topic?: string): string {
  const line = topic === undefined ? '' : `topic: ${topic}\n`
  return `id: ${EPOCH}-${n}\nevent: fanfare.end\n${line}data: ${JSON.stringify({ status })}\n\n`
}
