import t from 'tap'
import type { NatsLink } from '../../../src/nats/nats-link.js'
import { NoResponderError, Requests } from '../../../src/log/nats/requests.js'

interface Answer {
  subject: string
  data: Uint8Array
  headers?: { code: number }
}

/** A connection whose messages a test answers. */
function prepare() {
  let deliver: (err: Error | null, message: Answer) => void = () => undefined
  let tell: (isUp: boolean) => void = () => undefined
  const sent: { subject: string; reply: string }[] = []
  const link = {
    connection: {
      subscribe: (_subject: string, options: { callback: typeof deliver }) => {
        deliver = options.callback
        return { unsubscribe: () => undefined }
      },
      publish: (subject: string, _payload: unknown, { reply }: { reply: string }) => {
        if (subject === 'refused') throw new Error('the payload is too large')
        sent.push({ subject, reply })
      },
    },
    watch: (listener: typeof tell) => {
      tell = listener
      return () => undefined
    },
  }
  const requests = new Requests(link as unknown as NatsLink)
  const text = (subject: string, timeout = 5_000) =>
    requests.send<string>(subject, '', { timeout }, ({ data }, resolve) => {
      const answer = Buffer.from(data).toString()
      if (answer === 'broken') throw new Error('the answer is broken')
      if (answer !== 'more') resolve(answer)
    })
  const answer = (n: number, data: string, code?: number) =>
    deliver(null, { subject: sent[n]!.reply, data: Buffer.from(data), ...(code && { headers: { code } }) })
  return { requests, text, answer, sent, goDown: () => tell(false) }
}

await t.test('each request gets its own answer, whatever their order', async (t) => {
  const { text, answer } = prepare()
  const both = [text('a'), text('b')]
  answer(1, 'more')
  answer(1, 'of b')
  answer(0, 'of a')
  t.strictSame(await Promise.all(both), ['of a', 'of b'])
  answer(0, 'late')
})

await t.test('a request without a responder, with a broken answer, or that cannot be sent is rejected', async (t) => {
  const { text, answer } = prepare()
  const unanswered = text('a')
  answer(0, '', 503)
  t.ok((await unanswered.catch((err: unknown) => err)) instanceof NoResponderError)
  const broken = text('b')
  answer(1, 'broken')
  await t.rejects(broken, /the answer is broken/)
  await t.rejects(text('refused'), /too large/)
})

await t.test('a request is rejected at its time limit, and when the connection breaks or is closed', async (t) => {
  const { requests, text, goDown } = prepare()
  await t.rejects(text('a', 1), /has not answered in time/)
  const lost = text('b')
  goDown()
  await t.rejects(lost, /the connection has broken/)
  const closed = text('c')
  requests.close()
  await t.rejects(closed, /the log is closed/)
})
