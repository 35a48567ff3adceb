/** Publishes the values of ten widgets, each at its own pace, and signs the visitors' tokens. */
import { setTimeout as delay } from 'node:timers/promises'
import Type from 'typebox'
import type { Example, ExampleContext } from '../shared/example.js'
import { newest } from '../shared/hub-access.js'
import { addLogin } from '../shared/login.js'
import { MAKERS } from './values.js'
import { topicOf, WIDGETS, type Value, type WidgetName } from './widgets.js'

export default {
  settings: {},
  serve(app, context) {
    const { hub, sign, ending: signal } = context

    // A token with a subject: only the subject of a stream may change its topics.
    addLogin(app, sign, { subscribe: [topicOf('*')] }, { user: Type.String({ format: 'uuid' }) })

    const text = `The board started at ${new Date().toLocaleTimeString('en-GB')}.`
    const running = [
      hub.publish(topicOf('notice'), { text }, { timeout: Infinity, signal }),
      ...WIDGETS.map(({ name }) => run(name, context)),
    ]
    for (const one of running)
      one.catch((err: unknown) => {
        if (!signal.aborted) app.log.error(err, 'the board publishes no more values of a widget')
      })
  },
} satisfies Example

async function run(name: WidgetName, { hub, speed, ending: signal }: ExampleContext): Promise<void> {
  const { every, next } = MAKERS[name]
  const [last] = await newest<Value>(hub, topicOf(name), 1, { signal })
  for (let data = last?.data; ;) {
    data = next(data)
    await hub.publish(topicOf(name), { data }, { timeout: Infinity, signal })
    await delay(every / speed, undefined, { signal })
  }
}
