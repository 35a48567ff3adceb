/** Publishes the values of ten widgets, each at its own pace, and signs the visitors' tokens. */
import { setTimeout as delay } from 'node:timers/promises'
import Type from 'typebox'
import type { Example, ExampleContext } from '../shared/example.js'
import { newest } from '../shared/hub-access.js'
import { addLogin } from '../shared/login.js'
import { WIDGETS, type Value, type WidgetName } from './widgets.js'

export default {
  settings: {},
  serve(app, context) {
    const { hub, sign, watch, ending: signal } = context
    // A token with a subject: only the subject of a stream may change its topics.
    addLogin(app, sign, { subscribe: ['board.*'] }, { user: Type.String({ format: 'uuid' }) })

    const text = `The board started at ${new Date().toLocaleTimeString('en-GB')}.`
    watch(hub.publish('board.notice', { text }, { timeout: Infinity, signal }), 'the notice is not published')
    for (const name of Object.keys(WIDGETS) as WidgetName[])
      watch(run(name, context), 'the board publishes no more values of a widget')
  },
} satisfies Example

async function run(name: WidgetName, { hub, speed, ending: signal }: ExampleContext): Promise<void> {
  const { every, next } = WIDGETS[name]
  const [last] = await newest<Value>(hub, `board.${name}`, 1, { signal })
  for (let data = last?.data; ;) {
    data = next(data)
    await hub.publish(`board.${name}`, { data }, { timeout: Infinity, signal })
    await delay(every / speed, undefined, { signal })
  }
}
