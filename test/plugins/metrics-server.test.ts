/** The port that has the metrics only. */
import { connect, type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { buildMetricsApp } from '../../src/app.js'
import { openApp } from '../routes/open-app.js'

await t.test('every refusal has problem details, also that of a request which cannot be read', async (t) => {
  const { app } = await openApp(t)
  const server = await buildMetricsApp(app)
  t.teardown(() => server.close())
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  const rest = 'HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
  for (const [head, status, code] of [
    [`GET /metrics ${rest}\r\n`, 200, undefined],
    [`GET /nothing ${rest}\r\n`, 404, 'not-found'],
    [`POST /metrics ${rest}\r\n`, 405, 'method-not-allowed'],
    [`GET /%zz ${rest}\r\n`, 400, 'invalid-request'],
    ['nonsense\r\n\r\n', 400, 'invalid-request'],
    [`GET /metrics ${rest}X: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers-too-large'],
  ] as const) {
    const socket = connect(port, '127.0.0.1')
    socket.write(head)
    const answer = await text(socket)
    const name = head.slice(0, 20)
    t.match(answer, `HTTP/1.1 ${status} `, name)
    t.match(answer, /^cache-control: no-store\r$/m, name)
    if (code === undefined) continue
    t.match(answer, /^content-type: application\/problem\+json\r$/m, name)
    t.match(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))), { status, code }, name)
  }
})
