import t from 'tap'
import { quote } from '../../src/model/quote.js'

await t.test('a text is one line, and is cut after 80 characters', (t) => {
  t.equal(quote('a\n"b"\u0000'), '"a\\n\\"b\\"\\u0000"')
  t.equal(quote('x'.repeat(80)), `"${'x'.repeat(80)}"`)
  t.equal(quote('x'.repeat(81)), `"${'x'.repeat(80)}…"`)
  t.end()
})

await t.test('any other value is a number, a boolean, null or the name of its type', (t) => {
  for (const [value, text] of [
    [1.5, '1.5'],
    [NaN, 'NaN'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{ secret: 1 }, 'object'],
    [['secret'], 'object'],
    [() => 'secret', 'function'],
    [1n, 'bigint'],
    [Symbol('secret'), 'symbol'],
  ] as const)
    t.equal(quote(value), text)
  t.end()
})
