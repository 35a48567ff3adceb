/** Publishes the values of ten widgets, each at its own pace, and signs the visitors' tokens. */
import { setTimeout as delay } from 'node:timers/promises'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Example, ExampleContext } from '../shared/example.js'
import { newest } from '../shared/hub-access.js'
import { MAKERS, type Maker } from './values.js'
import { NOTICE, topicOf, type Value } from './widgets.js'

/** The data of a widget's events. */
export interface Reading {
  value: Value
  /** RFC 3339 */
  time: string
}

const Visitor = Type.Object({ visitor: Type.String({ format: 'uuid' }) })

export default {
  settings: {},
  serve(app, context) {
    const { hub, sign, ending: signal } = context

    // A token with a subject: only the subject of a stream may change its topics.
    app
      .withTypeProvider<TypeBoxTypeProvider>()
      .post('/login', { schema: { body: Visitor } }, async ({ body: { visitor } }) => ({
        token: sign({ sub: visitor, subscribe: [topicOf('*')] }),
      }))

    const notice = `The board started at ${new Date().toLocaleTimeString('en-GB')}.`
    const running = [
      hub.publish(topicOf(NOTICE), { text: notice }, { timeout: Infinity, signal }),
      ...Object.entries(MAKERS).map(([name, maker]) => run(topicOf(name), maker, context)),
    ]
    for (const one of running) {
      one.catch((err: unknown) => {
        if (!signal.aborted) app.log.error(err, 'the board publishes no more values of a widget')
      })
    }
  },
} satisfies Example

async function run(topic: string, { every, next }: Maker, { hub, speed, ending: signal }: ExampleContext) {
  const [last] = await newest<Reading>(hub, topic, 1, { signal })
  for (let value = last?.data.value; ;) {
    value = next(value)
    const data: Reading = { value, time: new Date().toISOString() }
    await hub.publish(topic, { data }, { timeout: Infinity, signal })
    await delay(every / speed, undefined, { signal })
  }
}
