/** nginx with the configuration of the cluster, in front of servers that stand for hubs. */
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { poll, within } from '../helper/deadline.js'
import { freePort } from '../helper/free-port.js'
import { post, request } from '../helper/http.js'
import { skipNginx, startNginx } from '../helper/nginx.js'

type Ports = [number, number, number]

/** Starts three servers that answer in the same way. */
async function startServers(t: Test, listener: RequestListener): Promise<Ports> {
  const start = async (): Promise<number> => {
    const server = http.createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    return (server.address() as AddressInfo).port
  }
  return [await start(), await start(), await start()]
}

async function freePorts(): Promise<Ports> {
  return [await freePort(), await freePort(), await freePort()]
}

/** Returns a listener, and a promise of the first request with its answer. */
function expectRequest(): { listener: RequestListener; asked: Promise<[IncomingMessage, ServerResponse]> } {
  let listener: RequestListener = () => undefined
  const asked = new Promise<[IncomingMessage, ServerResponse]>((resolve) => {
    listener = (request, response) => resolve([request, response])
  })
  return { listener, asked }
}

async function nextData(stream: IncomingMessage): Promise<string> {
  const [part] = (await within(once(stream, 'data'), () => 'nothing arrives', 10_000)) as [Buffer]
  return part.toString()
}

await t.test('each piece of an answer arrives at once', { skip: skipNginx }, async (t) => {
  const { listener, asked } = expectRequest()
  const nginx = await startNginx(t, await startServers(t, listener))
  const asking = http.get(`${nginx.url}/events`, { agent: false })
  t.teardown(() => void asking.destroy())
  const answered = once(asking, 'response') as Promise<[IncomingMessage]>
  const [, answer] = await within(asked, () => 'no request arrives')
  answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const [response] = await within(answered, () => 'no head arrives')
  for (const piece of ['one', 'two']) {
    const arrived = nextData(response)
    answer.write(piece)
    t.equal(await arrived, piece)
  }
  const closed = once(answer, 'close')
  asking.destroy()
  await within(closed, () => 'the hub does not learn that the client has left')
})

await t.test('each piece of a body arrives at once', { skip: skipNginx }, async (t) => {
  const { listener, asked } = expectRequest()
  const nginx = await startNginx(t, await startServers(t, listener))
  const upload = http.request(`${nginx.url}/events`, { method: 'POST', agent: false })
  t.teardown(() => void upload.destroy())
  upload.write('one')
  const [body, answer] = await within(asked, () => 'no request arrives')
  t.equal(await nextData(body), 'one')
  upload.write('two')
  t.equal(await nextData(body), 'two')
  const answered = once(upload, 'response') as Promise<[IncomingMessage]>
  upload.end()
  answer.writeHead(201).end()
  t.equal((await within(answered, () => 'no answer arrives'))[0].statusCode, 201)
})

await t.test('a hub gets the address and the Host of the client', { skip: skipNginx }, async (t) => {
  const { listener, asked } = expectRequest()
  const nginx = await startNginx(t, await startServers(t, listener))
  const headers = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }
  const asking = http.get(`${nginx.url}/status?ticket=secret`, { agent: false, headers, localAddress: '127.0.0.7' })
  const answered = once(asking, 'response') as Promise<[IncomingMessage]>
  const [seen, answer] = await within(asked, () => 'no request arrives')
  t.match(seen.headers, {
    host: `127.0.0.1:${nginx.port}`,
    'x-forwarded-for': /^127\.0\.0\.7$/,
    'x-forwarded-proto': /^http$/,
  })
  answer.end()
  ;(await answered)[0].resume()
  const line = await poll(
    async () => nginx.accessLog() || undefined,
    () => 'nothing is logged',
  )
  t.match(line, '"GET /status" 200')
  t.notMatch(line, 'secret', 'tickets are not logged')
})

await t.test('only a request that may be repeated is sent to another hub', { skip: skipNginx }, async (t) => {
  for (const [method, status, requests] of [
    ['GET', 200, 2],
    ['POST', 503, 1],
    ['PATCH', 503, 1],
  ] as const) {
    let count = 0
    const ports = await startServers(t, (asked, answer) => {
      if (++count === 1) asked.socket.destroy()
      else answer.end()
    })
    const nginx = await startNginx(t, ports)
    const answer = await request(`${nginx.url}/x`, { method, ...(method !== 'GET' && { body: '{}' }) })
    t.equal(answer.status, status, method)
    t.equal(count, requests, method)
  }
})

await t.test('a stream that has begun is not continued by another hub', { skip: skipNginx }, async (t) => {
  let count = 0
  const ports = await startServers(t, (asked, answer) => {
    count++
    answer.write('one')
    setImmediate(() => asked.socket.resetAndDestroy())
  })
  const nginx = await startNginx(t, ports)
  await t.rejects(request(`${nginx.url}/events`), 'the answer is cut')
  t.equal(count, 1)
})

await t.test('a POST to a hub that does not listen goes to another one', { skip: skipNginx }, async (t) => {
  const [one] = await startServers(t, (_asked, answer) => answer.writeHead(201).end())
  const [two, three] = await freePorts()
  const nginx = await startNginx(t, [two, one, three])
  for (let n = 0; n < 3; n++) t.equal((await post(`${nginx.url}/events`, {}, '')).status, 201)
})

await t.test('the metrics are not public', { skip: skipNginx }, async (t) => {
  const nginx = await startNginx(t, await startServers(t, (_asked, answer) => answer.end()))
  t.equal((await request(`${nginx.url}/status`)).status, 200)
  for (const path of ['/metrics', '/%6detrics?x=1', '//metrics'])
    t.equal((await request(nginx.url + path)).status, 404, path)
})

await t.test('when no hub answers', { skip: skipNginx }, async (t) => {
  const nginx = await startNginx(t, await freePorts())
  const origin = 'https://app.example.com'

  await t.test('a publisher is told to try again', async (t) => {
    const answer = await post(`${nginx.url}/events`, {}, '', { origin })
    t.equal(answer.status, 503)
    t.equal(answer.headers.get('retry-after'), '1')
    t.equal(answer.headers.get('content-type'), 'application/problem+json')
    t.equal(answer.headers.get('access-control-allow-origin'), origin)
    t.match(answer.body, { type: '/errors/unavailable', code: 'unavailable', status: 503, requestId: /^[0-9a-f]{32}$/ })
  })

  await t.test('an EventSource is told to reconnect after a random time', async (t) => {
    const times = new Set<string>()
    for (let n = 0; n < 10; n++) {
      const headers = { accept: 'text/event-stream', origin }
      const answer = await request<string>(`${nginx.url}/events`, { headers })
      t.equal(answer.status, 200)
      t.equal(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8')
      t.equal(answer.headers.get('access-control-allow-origin'), origin)
      let retry = 0
      const events: EventSourceMessage[] = []
      createParser({ onEvent: (event) => events.push(event), onRetry: (ms) => (retry = ms) }).feed(answer.body)
      t.match(events, [{ event: 'fanfare.close' }])
      t.strictSame(JSON.parse(events[0]!.data), { reason: 'busy', retry })
      t.ok(retry >= 5_000 && retry < 10_000, `${retry} ms`)
      times.add(String(retry))
    }
    t.ok(times.size > 5, 'clients do not reconnect at the same time')
  })

  await t.test('a request for anything but a stream is refused', async (t) => {
    for (const [path, accept] of [
      ['/events', 'application/json'],
      ['/status', 'text/event-stream'],
    ] as const)
      t.equal((await request(nginx.url + path, { headers: { accept } })).status, 503)
  })
})
