/** An upload that is refused before its end leaves a working connection, or a closed one. */
import { connect } from 'node:net'
import t from 'tap'
import { within } from '../helper/deadline.js'
import { startHub } from '../helper/process.js'
import { anyTopic } from '../helper/token.js'

await t.test(
  'a request after a refused upload on the same connection is answered, or the connection is closed',
  async (t) => {
    const hub = await startHub(t)
    for (const rest of [10, 2_000, 40_000]) {
      const lines = `nonsense\n${`${JSON.stringify({ topic: 'a', text: 'x'.repeat(70) })}\n`.repeat(rest)}`
      const socket = connect(hub.port, '127.0.0.1')
      t.teardown(() => void socket.destroy())
      let answers = ''
      const done = new Promise<string>((resolve) => {
        socket.setEncoding('latin1').on('data', (text: string) => {
          answers += text
          if ([...answers.matchAll(/HTTP\/1\.1 \d{3} /g)].length === 2) resolve('the next request is answered')
        })
        socket.on('error', () => undefined)
        socket.once('close', () => resolve('the connection is closed'))
      })
      socket.write(
        `POST /events HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${anyTopic()}\r\ncontent-type: application/x-ndjson\r\ncontent-length: ${lines.length}\r\n\r\n${lines}`,
      )
      socket.write('GET /health/live HTTP/1.1\r\nhost: hub\r\n\r\n')
      const after = await within(
        done,
        () =>
          `after the refusal of ${lines.length} bytes, the next request is not answered, and the connection stays open: ${answers}`,
      )
      t.match(answers, /^HTTP\/1\.1 400 /, `${lines.length} bytes are refused, ${after}`)
    }
  },
)
