import fc from 'fast-check'
import t from 'tap'
import {
  arrayOf,
  either,
  isAnything,
  isBoolean,
  isMissing,
  isNumber,
  isString,
  isTime,
  nullable,
  oneOf,
  optional,
  shapeOf,
  tupleOf,
  type Check,
} from '../../src/model/shape.js'

const TABLE: [name: string, check: Check<unknown>, passes: unknown[], fails: unknown[]][] = [
  ['isString', isString, ['', 'x'], [1, null, undefined, {}, []]],
  ['isNumber', isNumber, [0, -1.5], ['1', null, undefined, {}]],
  ['isTime', isTime, [0, 8.64e15, -8.64e15], [8.65e15, Infinity, NaN, '0']],
  ['isBoolean', isBoolean, [true, false], [0, 'true', null]],
  ['isMissing', isMissing, [undefined], [null, 0, '']],
  ['isAnything', isAnything, [undefined, null, {}], []],
  ['oneOf', oneOf('a', 'b'), ['a', 'b'], ['c', undefined, ['a']]],
  ['optional', optional(isString), ['x', undefined], [null, 1]],
  ['nullable', nullable(isString), ['x', null], [undefined, 1]],
  ['either', either(isString, isNumber), ['x', 1], [true, null]],
  ['arrayOf', arrayOf(isString), [[], ['a', 'b']], [['a', 1], 'a', { 0: 'a', length: 1 }, null]],
  ['tupleOf', tupleOf<[string, number]>(isString, isNumber), [['a', 1]], [['a'], ['a', 1, 2], [1, 'a'], 'a']],
  [
    'shapeOf',
    shapeOf({ a: isString, b: optional(isNumber) }),
    [{ a: '' }, { a: '', b: 1 }, { a: '', c: 'a newer version' }],
    [{}, { a: 1 }, { a: '', b: '1' }, null, undefined, [], 'a'],
  ],
]

for (const [name, check, passes, fails] of TABLE) {
  await t.test(`${name} accepts and refuses values`, (t) => {
    for (const value of passes) t.ok(check(value), JSON.stringify(value))
    for (const value of fails) t.notOk(check(value), JSON.stringify(value))
    t.end()
  })
}

await t.test('no check throws', (t) => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withSparseArray: true, withMap: true }), (value) => {
      for (const [, check] of TABLE) check(value)
    }),
  )
  t.end()
})
