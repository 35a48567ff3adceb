import t from 'tap'
import { Calls } from '../../../src/log/nats/calls.js'
import { HubError } from '../../../src/model/hub-error.js'
import type { OnLink } from '../../../src/nats/nats-link.js'

/** A connection that the test breaks and mends. */
class Link {
  isUp = true
  readonly listeners = new Set<OnLink>()

  watch(listener: OnLink): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  becomes(isUp: boolean): void {
    this.isUp = isUp
    for (const listener of this.listeners) listener(isUp)
  }
}

const LONG = 60_000
const SHORT = 20
const forever = new Promise<never>(() => undefined)

await t.test('a call waits for the connection', async (t) => {
  const link = new Link()
  const calls = new Calls(link, LONG)
  t.equal(await calls.ask(async () => 1), 1)
  link.becomes(false)
  let asked = 0
  const answer = calls.ask(async () => ++asked)
  t.equal(asked, 0)
  link.becomes(true)
  t.equal(await answer, 1)
  t.equal(link.listeners.size, 0)
})

await t.test('a call without a connection or an answer is refused in time', async (t) => {
  const link = new Link()
  const calls = new Calls(link, SHORT)
  await t.rejects(
    calls.ask(() => forever),
    { code: 'log-unavailable', message: /has not answered in time/ },
  )
  link.becomes(false)
  await t.rejects(
    calls.ask(async () => 1),
    { code: 'log-unavailable' },
  )
})

await t.test('a failed call is refused, and keeps its cause', async (t) => {
  const calls = new Calls(new Link(), LONG)
  const cause = new Error('no leader')
  await t.rejects(
    calls.ask(() => Promise.reject(cause)),
    { code: 'log-unavailable', cause },
  )
})

await t.test('a repeated call succeeds with the first answer, and ends with a refusal', async (t) => {
  const calls = new Calls(new Link(), LONG)
  let attempts = 0
  const third = await calls.askAgain(async () => {
    if (++attempts < 3) throw new Error('no leader')
    return attempts
  })
  t.equal(third, 3)
  const refusal = new HubError('log-unavailable', 'The log was replaced.')
  await t.rejects(
    calls.askAgain(() => Promise.reject(refusal)),
    refusal,
  )
})

await t.test('a repeated call ends in time', async (t) => {
  const calls = new Calls(new Link(), SHORT)
  await t.rejects(
    calls.askAgain(() => Promise.reject(new Error('no leader'))),
    { code: 'log-unavailable', message: /no leader/ },
  )
})

await t.test('a closed log refuses calls', async (t) => {
  const calls = new Calls(new Link(), LONG)
  calls.close()
  await t.rejects(
    calls.ask(async () => 1),
    { code: 'log-unavailable', message: 'The log is closed.' },
  )
})
