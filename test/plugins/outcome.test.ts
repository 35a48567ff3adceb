import t from 'tap'
import { Problem } from '../../src/errors.js'
import { HubError } from '../../src/model/hub-error.js'
import { outcomeOf, valueOf } from '../../src/plugins/outcome.js'

/** Runs an operation as if in another process. Returns its value, and the faults that the other process has logged. */
async function run(operation: () => unknown): Promise<{ value: () => unknown; faults: unknown[] }> {
  const faults: unknown[] = []
  const outcome = await outcomeOf(operation, (err) => void faults.push(err))
  const sent = JSON.parse(JSON.stringify(outcome)) as typeof outcome
  return { value: () => valueOf(sent), faults }
}

await t.test('a value comes back', async (t) => {
  for (const value of [{ a: [1, null] }, 0, false, null, undefined])
    t.strictSame((await run(async () => value)).value(), value)
})

await t.test('a refusal is thrown as it was', async (t) => {
  const errors = [{ path: '/a', message: 'is wrong' }]
  const indexed = Object.assign(new HubError('invalid-event', 'no'), { index: 3 })
  for (const [thrown, expected] of [
    [new Problem('not-granted', 'no'), new Problem('not-granted', 'no')],
    [new Problem('invalid-request', 'no', { errors }), new Problem('invalid-request', 'no', { errors })],
    [
      new Problem('rate-limited', 'no', {}, { retryAfter: 7 }),
      new Problem('rate-limited', 'no', {}, { retryAfter: 7 }),
    ],
    [new HubError('hub-closed', 'closed'), new Problem('draining', 'closed')],
    [indexed, new Problem('invalid-event', 'no', { errors: [{ path: '/events/3', message: 'no' }] })],
  ] as const) {
    const { value, faults } = await run(() => {
      throw thrown
    })
    const { code, message, status, title, retryAfter, extensions } = expected
    t.throws(value, { name: 'Problem', code, message, status, title, retryAfter, extensions })
    t.strictSame(faults, [])
  }
})

await t.test('an unexpected error is logged where it happened, and not repeated', async (t) => {
  const secret = new Error('a secret')
  const { value, faults } = await run(() => Promise.reject(secret))
  t.throws(value, { code: 'internal-error', message: /^(?!.*secret)/ })
  t.strictSame(faults, [secret])
})

await t.test('a refusal of a newer version is an internal error', (t) => {
  const refusal = { code: 'of a newer version', detail: 'no', extensions: {}, retryAfter: undefined }
  t.throws(() => valueOf({ refusal }), { code: 'internal-error', message: 'no' })
  t.end()
})
