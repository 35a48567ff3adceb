import t from 'tap'
import { requireOptions } from '../../src/model/options.js'

await t.test('an object with known members is returned as it is', (t) => {
  const options = { after: 'x' }
  t.equal(requireOptions(options, 'The options', ['after', 'limit']), options)
  t.strictSame(requireOptions({}, 'The options', ['after']), {})
  t.end()
})

await t.test('any other value is refused, by the name of the options', (t) => {
  for (const value of [undefined, null, 'after', 1, ['after'], () => ({})])
    t.throws(() => requireOptions(value, 'The options of a list', ['after', 'limit']), {
      code: 'invalid-request',
      message: /^The options of a list must be an object with after, limit, not /,
    })
  t.end()
})

await t.test('an unknown member is refused with the code of the caller', (t) => {
  t.throws(() => requireOptions({ after: 1, 'li mit': 2 }, 'The options', ['after', 'limit'], 'invalid-event'), {
    code: 'invalid-event',
    message: 'The options have no "li mit": they are after, limit.',
  })
  t.end()
})
