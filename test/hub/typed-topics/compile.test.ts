import fc from 'fast-check'
import t from 'tap'
import { createCompiler } from '../../../src/hub/typed-topics/compile.js'
import type { JsonSchema } from '../../../src/model/json-schema.js'
import { isDeepStrictEqual } from 'node:util'

function faultsOf(schema: JsonSchema, value: unknown) {
  return createCompiler()(schema).faultsOf(value)
}

await t.test('a fault has the JSON pointer of the value', async (t) => {
  const schema = {
    type: 'object',
    properties: { items: { type: 'array', items: { type: 'integer' } }, 'a/b~c': { const: 1 } },
    required: ['items'],
    additionalProperties: false,
  }
  t.strictSame(faultsOf(schema, { items: [1] }), [])
  t.strictSame(faultsOf(schema, { items: [1, 'x'] }), [{ path: '/items/1', message: 'must be integer' }])
  t.strictSame(faultsOf(schema, {}), [{ path: '', message: "must have required property 'items'" }])
  t.strictSame(faultsOf(schema, { items: [], 'x/y': 1 }), [{ path: '/x~1y', message: 'is not known' }])
  t.strictSame(faultsOf(schema, { items: [], 'a/b~c': 2 }), [
    { path: '/a~1b~0c', message: 'must be equal to constant' },
  ])
  t.strictSame(faultsOf({ properties: { a: false } }, { a: 1 }), [{ path: '/a', message: 'is not allowed' }])
})

await t.test('members that every object inherits do not count', async (t) => {
  t.equal(faultsOf({ required: ['toString'] }, {}).length, 1)
  t.equal(faultsOf({ properties: { constructor: { type: 'string' } } }, {}).length, 0)
  t.equal(faultsOf({ required: ['__proto__'] }, JSON.parse('{"__proto__":1}')).length, 0)
})

await t.test('keywords of 2020-12 and formats are checked', async (t) => {
  t.equal(faultsOf({ prefixItems: [{ type: 'string' }], items: false }, ['a', 1]).length, 1)
  t.equal(faultsOf({ allOf: [{ properties: { a: true } }], unevaluatedProperties: false }, { a: 1, b: 2 }).length, 1)
  t.equal(faultsOf({ dependentRequired: { a: ['b'] } }, { a: 1 }).length, 1)
  t.equal(faultsOf({ format: 'date-time' }, 'yesterday').length, 1)
  t.equal(faultsOf({ format: 'date-time' }, '2026-12-31T23:59:59Z').length, 0)
})

await t.test('uniqueItems compares by value, as JSON Schema says', async (t) => {
  const compiled = createCompiler()({ uniqueItems: true })
  const isUnique = (items: unknown[]) => compiled.faultsOf(items).length === 0
  t.notOk(
    isUnique([
      { a: 1, b: [2] },
      { b: [2], a: 1 },
    ]),
  )
  t.ok(isUnique([1, '1', [1], { 1: 1 }, null, 'null', [], {}]))
  t.ok(isUnique(JSON.parse('[{"__proto__":1},{},{"2":1,"1":1},{".1":1,".2":1}]') as unknown[]))
  fc.assert(
    fc.property(fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 6 }), (values) => {
      const items = JSON.parse(JSON.stringify(values)) as unknown[]
      const twice = items.some((item, at) => items.some((other, i) => i < at && isDeepStrictEqual(item, other)))
      return isUnique(items) === !twice
    }),
  )
})

await t.test('the check of a hostile event is fast', async (t) => {
  const started = performance.now()
  const pairs = Array.from({ length: 60_000 }, (_, index) => [index])
  t.equal(faultsOf({ uniqueItems: true }, pairs).length, 0)
  const deep = JSON.parse(`${'['.repeat(600)}${']'.repeat(600)}`) as unknown
  t.equal(faultsOf({ type: 'array', items: { $ref: '#' } }, deep).length, 0)
  t.ok(performance.now() - started < 5_000)
})
