/** Parts of the client whose files cannot be loaded. */
import t from 'tap'
import { later } from '../src/later.js'

const LOST = new TypeError('Failed to fetch dynamically imported module')

/** Returns a load that fails a number of times. */
function failing(times: number): { calls: number; load: () => Promise<string> } {
  const attempts = {
    calls: 0,
    load: () => (++attempts.calls > times ? Promise.resolve('part') : Promise.reject(LOST)),
  }
  return attempts
}

await t.test('a part that cannot be loaded is a hub that cannot be reached', async (t) => {
  const attempts = failing(Infinity)
  await t.rejects(later(attempts.load), { name: 'HubError', code: 'unreachable', status: 0, cause: LOST })
  t.equal(attempts.calls, 1)
})

await t.test('the load of a part is repeated within its time limit', async (t) => {
  const attempts = failing(1)
  t.equal(await later(attempts.load, { timeout: Infinity }), 'part')
  t.equal(attempts.calls, 2)
})

await t.test('no load follows once the signal is aborted', async (t) => {
  const stopping = new AbortController()
  const attempts = failing(Infinity)
  const loading = later(attempts.load, { timeout: Infinity, signal: stopping.signal })
  stopping.abort()
  await t.rejects(loading, { name: 'AbortError' })
  t.equal(attempts.calls, 1)
})
