/** A client that is closed while requests wait for their next attempt. */
import t, { type Test } from 'tap'
import type { ConnectOptions, HubEvent, Receipt } from 'fanfare-client'
import { startHub } from '../../../test/helper/process.js'
import { anyGrants, clientOf, Collected, States } from './hubs.js'
import { event, live, opening } from './scripted.js'

/** Longer than the test, in milliseconds. */
const LONG = 600_000
const LOST = new TypeError('there is no network')

/**
 * Returns options whose `fetch` answers streams with one event, and fails other requests. A failure makes the client
 * wait for longer than the test.
 */
function broken(failures: Collected<string>): ConnectOptions {
  return {
    token: anyGrants(),
    maxWait: LONG,
    async fetch(_url, init) {
      await Promise.resolve()
      if (init?.method !== undefined) {
        failures.add(init.method)
        throw LOST
      }
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(opening(['a']) + live(0) + event(1, 'a'))),
      })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    },
  }
}

/** Replaces the wait after a failure by one that is longer than the test. Returns the number of waits. */
function waitLong(t: Test): () => number {
  let waits = 0
  const { setTimeout } = globalThis
  const replaced = (handler: () => void, ms: number): unknown => {
    if (ms < 250 || ms > 2_000) return setTimeout(handler, ms)
    waits++
    return setTimeout(handler, LONG)
  }
  t.intercept(globalThis, 'setTimeout', { value: Object.assign(replaced, setTimeout) })
  return () => waits
}

await t.test('a publish that waits for its next attempt fails with the error of the last one', async (t) => {
  waitLong(t)
  const failures = new Collected<string>()
  const client = clientOf(t, 'http://hub.invalid', broken(failures))
  const publishing = client.publish('a', { data: 1 }, { timeout: LONG })
  await failures.count(1)
  await new Promise((resolve) => setImmediate(resolve))
  client.close()
  await t.rejects(publishing, { code: 'unreachable', cause: LOST })
  t.equal(failures.items.length, 1)
  const again = client.publish('a', { data: 2 }, { timeout: LONG })
  await failures.count(2)
  client.close()
  await t.rejects(again, { code: 'unreachable' }, 'a closed client can be used again, and closed again')
})

await t.test('a publish that is under way is finished', async (t) => {
  const hub = await startHub(t)
  const client = clientOf(t, hub.url, {
    fetch(input, init) {
      client.close()
      return fetch(input, init)
    },
  })
  const receipt: Receipt = await client.publish('a', { data: 1 })
  t.match(receipt, { topic: 'a', duplicate: false })
})

await t.test('an acknowledgement that waits is sent once more, and not repeated', async (t) => {
  const waits = waitLong(t)
  const failures = new Collected<string>()
  const client = clientOf(t, 'http://hub.invalid', broken(failures))
  const received = new Collected<HubEvent>()
  const states = new States()
  client.subscribe('a', received.add, { cursor: 'work', onState: states.add })
  await failures.count(1)
  while (waits() === 0) await new Promise((resolve) => setImmediate(resolve))
  client.close()
  await states.reach('closed', 'stopped')
  t.strictSame(await failures.count(2), ['PUT', 'PUT'])
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.strictSame(failures.items, ['PUT', 'PUT'])
  t.equal(waits(), 1, 'nothing waits any more')
})
