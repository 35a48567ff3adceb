import t from 'tap'
import { readSchemaFile } from '../../../src/hub/typed-topics/schema-file.js'
import { SettingsError } from '../../../src/model/settings-error.js'
import { TypedTopics } from '../../../src/hub/typed-topics/typed-topics.js'
import { schemaFile } from './schema-file.js'

const FAULTS: [what: string, content: unknown, sentence: RegExp][] = [
  ['no JSON', '{ "orders": ', /^it is not valid JSON \(.+\)\.$/],
  ['an array', [], /^it must be an object whose names are patterns and whose values are schemas\.$/],
  ['a bad pattern', { 'orders..x': {} }, /^"orders\.\.x" is neither a topic nor a pattern\.$/],
  [
    'a system topic',
    { 'fanfare.stats': {} },
    /^"fanfare\.stats" is a system topic, to which only the hub itself publishes\.$/,
  ],
  ['a schema that is text', { orders: 'object' }, /^the schema of "orders" must be an object, true or false\.$/],
  [
    'an unknown keyword',
    { orders: { propertes: {} } },
    /^the schema of "orders" is invalid: unknown keyword: "propertes"\.$/,
  ],
  [
    'an unknown format',
    { orders: { type: 'string', format: 'dat' } },
    /^the schema of "orders" is invalid: unknown format "dat" .+\.$/,
  ],
  [
    'an unknown type',
    { orders: { type: 'strin' } },
    /^the schema of "orders" is invalid: \/type must be equal to one of the allowed values\.$/,
  ],
  [
    'a schema that refers to itself',
    { orders: { $ref: '#' } },
    /^the schema of "orders" is invalid: it refers to itself .+\.$/,
  ],
  [
    'a definition that refers to itself',
    { $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, orders: { $ref: '#/$defs/a' } },
    /^the schema of "orders" is invalid: it refers to itself .+\.$/,
  ],
  ['a bad expression', { orders: { type: 'string', pattern: '(' } }, /^the schema of "orders" is invalid: .+\.$/],
  [
    'a remote reference',
    { orders: { $ref: 'https://example.com/order.json' } },
    /^the schema of "orders" refers to "https:\/\/example\.com\/order\.json", but a reference must begin with "#\/"\.$/,
  ],
  [
    'a missing definition',
    { orders: { $ref: '#/$defs/order' } },
    /^the schema of "orders" is invalid: can't resolve reference #\/\$defs\/order .+\.$/,
  ],
  [
    'another dialect',
    { orders: { $schema: 'http://json-schema.org/draft-07/schema#' } },
    /^the schema of "orders" has the "\$schema" "http:\/\/json-schema\.org\/draft-07\/schema#", but the hub reads https:\/\/json-schema\.org\/draft\/2020-12\/schema\.$/,
  ],
  [
    'an asynchronous schema',
    { orders: { $async: true } },
    /^the schema of "orders" uses "\$async", which the hub does not support there\.$/,
  ],
  ['an inner $id', { orders: { properties: { a: { $id: 'a' } } } }, /^the schema of "orders" uses "\$id", which/],
  [
    'types beside a schema',
    { orders: { types: {}, type: 'object' } },
    /^the member "types" of "orders" must be an object of schemas, and its only member\.$/,
  ],
  [
    'no type',
    { orders: { types: {} } },
    /^the member "types" of "orders" is empty: name a type, or set "orders" to false\.$/,
  ],
  [
    'a bad type',
    { orders: { types: { 'fanfare.x': {} } } },
    /^"fanfare\.x", in the types of "orders", is not a valid event type\.$/,
  ],
  [
    'a bad schema of a type',
    { orders: { types: { created: { type: 1 } } } },
    /^the schema of "orders" for the type "created" is invalid: \/type must be .+\.$/,
  ],
  ['definitions that are no object', { $defs: [], orders: {} }, /^its member "\$defs" must be an object of schemas\.$/],
]

function refusalOf(path: string): string {
  try {
    TypedTopics.open(path)
  } catch (err) {
    if (err instanceof SettingsError) return err.message
    throw err
  }
  return 'none'
}

await t.test('each fault of a file is one sentence that names the file', async (t) => {
  for (const [what, content, sentence] of FAULTS) {
    const path = schemaFile(t, content)
    const message = refusalOf(path)
    const head = `The file of FANFARE_SCHEMAS (as a plugin: schemas), ${JSON.stringify(path)}: `
    t.ok(message.startsWith(head), message)
    t.match(message.slice(head.length), sentence, what)
  }
  t.match(refusalOf('/does/not/exist.json'), /"\/does\/not\/exist\.json": it cannot be read \(ENOENT\)\.$/)
})

await t.test('$id and $schema are dropped, and each schema has the definitions of the file', async (t) => {
  const path = schemaFile(t, {
    $defs: { money: { type: 'integer' }, name: { type: 'string' } },
    'orders.*': {
      $id: 'https://example.com/order',
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $defs: { name: { type: 'string', minLength: 1 } },
      type: 'object',
    },
    chat: { types: { joined: true, '*': false } },
  })
  const [orders, chat] = readSchemaFile(path)
  t.strictSame(orders, {
    pattern: 'orders.*',
    schema: { type: 'object', $defs: { money: { type: 'integer' }, name: { type: 'string', minLength: 1 } } },
  })
  t.strictSame(
    [...chat!.types!],
    [
      ['joined', true],
      ['*', false],
    ],
  )
})

await t.test('a property named as a keyword is not taken for the keyword', async (t) => {
  const path = schemaFile(t, { a: { properties: { $id: { type: 'string' }, $ref: true }, const: { $async: true } } })
  t.equal(refusalOf(path), 'none')
})
