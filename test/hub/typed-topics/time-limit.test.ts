import t from 'tap'
import { TimeLimit } from '../../../src/hub/typed-topics/time-limit.js'

await t.test('a function returns its result, or throws its own error', async (t) => {
  const limit = new TimeLimit(1_000)
  t.strictSame(
    limit.call(() => [1]),
    [1],
  )
  t.throws(() => limit.call(() => JSON.parse('{') as unknown), { name: 'SyntaxError' })
  t.equal(
    limit.call(() => 2),
    2,
    'it can be called again',
  )
})

await t.test('a function that takes too long is ended, also within a regular expression', async (t) => {
  const limit = new TimeLimit(20)
  const started = performance.now()
  t.equal(
    limit.call(() => /^(a+)+$/.test(`${'a'.repeat(50)}b`)),
    undefined,
  )
  t.ok(performance.now() - started < 5_000)
  t.equal(
    limit.call(() => true),
    true,
  )
})

await t.test('a function that was too slow once gets a second chance', async (t) => {
  let calls = 0
  const limit = new TimeLimit(20)
  t.equal(
    limit.call(() => {
      if (++calls === 1) for (;;);
      return calls
    }),
    2,
  )
})
