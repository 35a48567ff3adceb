import fc from 'fast-check'
import t from 'tap'
import { encodeData, isDeeper, isShallow, MAX_DEPTH } from '../../src/model/json.js'

/** Returns the nesting depth of a value. */
function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
}

await t.test('the depth of JSON text is the depth of its value', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(10), (value, levels) => {
        const isDeep = depthOf(value) > levels
        return isDeeper(JSON.stringify(value), levels) === isDeep && isShallow(value, levels) === !isDeep
      }),
    ),
  )
  t.equal(isDeeper('["[[[[\\"[[[["]', 1), false, 'brackets in strings do not count')
  t.equal(isDeeper('[],'.repeat(1_000), 1), false, 'neither do brackets in a row')
  t.end()
})

await t.test('data has at most 600 levels', (t) => {
  const nested = (depth: number, open: string, close: string) =>
    JSON.parse(open.repeat(depth) + '0' + close.repeat(depth)) as unknown
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
    ['[{"a":[', ']}]'],
  ] as const) {
    const levels = open.replace(/[^[{]/g, '').length
    const most = Math.floor(MAX_DEPTH / levels)
    t.doesNotThrow(() => encodeData(nested(most, open, close)))
    for (const depth of [most + 1, 1_000, 5_000, 50_000])
      t.throws(
        () => encodeData(nested(depth, open, close)),
        { name: 'HubError', code: 'invalid-event', message: /deeper than 600 levels/ },
        `${depth} times ${open}`,
      )
  }
  t.end()
})

await t.test('the encoded data is checked', (t) => {
  const toJSON = (value: unknown) => ({ toJSON: () => value })
  const refused: [what: string, data: unknown][] = [
    ['NaN', NaN],
    ['infinity', -Infinity],
    ['infinity inside', { a: [1, { b: Infinity }] }],
    ['a NaN that toJSON hides', toJSON(NaN)],
    ['a NaN that toJSON hides inside', [{ a: toJSON({ b: NaN }) }]],
    ['a NaN in an object', [new Number(NaN)]],
    [
      'a getter of a NaN',
      {
        get a() {
          return NaN
        },
      },
    ],
    ['a BigInt', [1n]],
    ['a function', () => 1],
    ['undefined from toJSON', toJSON(undefined)],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('mine')
        },
      },
    ],
    [
      'a getter that throws',
      {
        get a() {
          throw new Error('mine')
        },
      },
    ],
    ['a symbol', Symbol('x')],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('mine')
          },
        },
      ),
    ],
    [
      'a proxy that is revoked',
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      })(),
    ],
  ]
  for (const [what, data] of refused)
    t.throws(() => encodeData(data), { name: 'HubError', code: 'invalid-event' }, what)
  const taken: [data: unknown, json: string][] = [
    [null, 'null'],
    [{ a: null, b: 'null' }, '{"a":null,"b":"null"}'],
    [{ a: undefined, b: 1 }, '{"b":1}'],
    [[undefined, null], '[null,null]'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [toJSON([null]), '[null]'],
    [new Map([[1, 2]]), '{}'],
    [-0, '0'],
    [{ toJSON: 1 }, '{"toJSON":1}'],
  ]
  for (const [data, json] of taken) t.equal(encodeData(data), json, json)
  let count = 0
  t.equal(encodeData({ toJSON: () => [null, ++count] }), '[null,2]', 'the checked value is the encoded value')
  t.end()
})
