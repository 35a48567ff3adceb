/** Publishes the values of ten widgets, each at its own pace, and issues the visitors' tokens. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { Example, ExampleContext } from '../shared/example.js'
import { MAKERS, type Maker } from './values.js'
import { NOTICE, topicOf, type Value } from './widgets.js'

/** The data of a widget's events. */
export interface Reading {
  value: Value
  /** RFC 3339 */
  time: string
}

/** The example's own cookie: the visitor's subject, which is random and set at the first visit. */
const VISITOR = 'board_visitor'

export default {
  settings: {},
  serve(app, context) {
    const { hub, ending } = context

    // A stream may be changed by its own subject only. All tabs of a browser share the session, so they are one
    // subject.
    app.post('/token', async (request, reply) => {
      const visitor = parseCookie(request.headers.cookie ?? '')[VISITOR] ?? randomUUID()
      reply.header(
        'set-cookie',
        stringifySetCookie({ name: VISITOR, value: visitor, path: '/', httpOnly: true, sameSite: 'lax' }),
      )
      return { token: hub.token({ sub: visitor, subscribe: [topicOf('*')] }) }
    })

    const notice = `The board started at ${new Date().toLocaleTimeString('en-GB')}.`
    const running = [
      hub.publish(topicOf(NOTICE), { type: NOTICE, text: notice }, { maxWait: Infinity, signal: ending }),
      ...Object.entries(MAKERS).map(([name, maker]) => run(name, maker, context)),
    ]
    for (const one of running) {
      one.catch((err: unknown) => {
        if (!ending.aborted) app.log.error(err, 'the board publishes no more values of a widget')
      })
    }
  },
} satisfies Example

async function run(
  name: string,
  { every, next }: Maker,
  { hub, speed, ending: signal }: ExampleContext,
): Promise<void> {
  const topic = topicOf(name)
  const waiting = { maxWait: Infinity, signal }
  const [last] = await hub.last(topic, 1, waiting)
  for (let value = (last?.data as Reading | undefined)?.value; ;) {
    value = next(value)
    const data: Reading = { value, time: new Date().toISOString() }
    await hub.publish(topic, { type: name, data }, waiting)
    await delay(every / speed, undefined, { signal })
  }
}
