/**
 * The comparison for `many-topics`: a Fastify application that writes each posted event to the one socket that has
 * subscribed to its topic.
 */
import type { Socket } from 'node:net'
import Fastify from 'fastify'

const app = Fastify()
const subscribers = new Map<string, Socket>()
let sequence = 0

app.get<{ Params: { topic: string } }>('/topics/:topic/events', (request, reply) => {
  reply.hijack()
  const { socket } = request.raw
  socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nretry: 2000\n\n')
  subscribers.set(request.params.topic, socket)
})

app.post<{ Params: { topic: string }; Body: { data: unknown } }>('/topics/:topic/events', async (request, reply) => {
  const id = `00000000-${++sequence}`
  subscribers.get(request.params.topic)?.write(`id: ${id}\ndata: ${JSON.stringify(request.body.data)}\n\n`)
  reply.code(201)
  return { id }
})

const address = await app.listen({ host: '127.0.0.1', port: 0 })
console.log(JSON.stringify({ address }))
