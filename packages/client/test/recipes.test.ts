/** The recipes for Vue and Svelte, as docs/client.md has them, with the real frameworks and a real hub. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import type { HubEvent, HubState } from 'fanfare-client'
import { effectScope, nextTick, ref, watchEffect, type Ref } from 'vue'
import { get, type Readable } from 'svelte/store'
import { startHub } from '../../../test/helper/process.js'
import { clientOf, Collected, dataOf, States } from './hubs.js'

const DOCS = readFileSync(new URL('../../../docs/client.md', import.meta.url), 'utf8')

/** Loads the recipe of a section. Its `./hub.js` exports the client. */
async function recipe<Exports>(t: Test, section: string, hub: unknown): Promise<Exports> {
  const [, code] = new RegExp(`^## ${section}$[^]*?^\`\`\`js\\n([^]*?)^\`\`\`$`, 'm').exec(DOCS)!
  t.ok(code!.split('\n').length <= 25, 'the recipe is short')
  Object.assign(globalThis, { hubOfRecipe: hub })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'hubOfRecipe'))
  const folder = t.testdir({
    'package.json': '{ "type": "module" }',
    'hub.js': 'export const hub = globalThis.hubOfRecipe',
    'recipe.js': code!,
  })
  return (await import(pathToFileURL(join(folder, 'recipe.js')).href)) as Exports
}

interface VueRecipe {
  useEvents: (patterns: Ref<string>, options?: { limit?: number }) => { events: Ref<HubEvent[]>; state: Ref<HubState> }
}

await t.test('the recipe for Vue follows its patterns, and stops with its scope', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  await client.publish('a', { data: 1 })
  const { useEvents } = await recipe<VueRecipe>(t, 'Vue', client)
  const topic = ref('a')
  const shown = new Collected<unknown[]>()
  const states = new States()
  const scope = effectScope()
  scope.run(() => {
    const { events, state } = useEvents(topic, { limit: 2 })
    watchEffect(() => shown.add(dataOf(events.value)), { flush: 'sync' })
    watchEffect(() => states.add(state.value), { flush: 'sync' })
  })
  const shows = (...data: number[]): Promise<unknown> =>
    shown.until((all) => JSON.stringify(all.at(-1)) === JSON.stringify(data))
  await shows(1)
  await states.reach('live')
  await client.publish('a', { data: 2 })
  await client.publish('a', { data: 3 })
  await shows(2, 3)
  topic.value = 'b'
  await nextTick()
  await shows()
  await client.publish('b', { data: 4 })
  await shows(4)
  const closed = new States()
  client.on('state', closed.add)
  scope.stop()
  await closed.reach('closed', 'idle')
})

interface SvelteRecipe {
  eventsOf: (patterns: string, options?: { limit?: number }) => Readable<HubEvent[]>
  hubState: Readable<HubState>
}

await t.test('the recipe for Svelte subscribes while its store is used', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url)
  await client.publish('a', { data: 1 })
  const { eventsOf, hubState } = await recipe<SvelteRecipe>(t, 'Svelte', client)
  const states = new States()
  t.teardown(hubState.subscribe(states.add))
  t.match(states.items, [{ status: 'closed', reason: 'idle' }], 'nothing is subscribed at first')
  const store = eventsOf('a', { limit: 2 })
  const shown = new Collected<unknown[]>()
  const stop = store.subscribe((events) => shown.add(dataOf(events)))
  await states.reach('live')
  await client.publish('a', { data: 2 })
  await client.publish('a', { data: 3 })
  await shown.until((all) => JSON.stringify(all.at(-1)) === '[2,3]')
  stop()
  await states.reach('closed', 'idle')
  t.strictSame(get(store), [], 'a store that is not used has no events')
})
