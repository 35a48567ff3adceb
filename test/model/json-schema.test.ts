import t from 'tap'
import { mapSchemas, visitSchemas } from '../../src/model/json-schema.js'

const schema = {
  title: 'root',
  properties: {
    title: { title: 'property' },
    list: { items: { title: 'item' }, prefixItems: [{ title: 'first' }, true] },
  },
  anyOf: [{ title: 'one' }, false],
  not: { title: 'not' },
  const: { title: 'data' },
  enum: [{ title: 'data' }],
  default: { title: 'data' },
  examples: [{ title: 'data' }],
  $defs: { a: { title: 'definition' } },
}

await t.test('every schema is visited, and no data', async (t) => {
  const titles: unknown[] = []
  visitSchemas(schema, ({ title }) => {
    if (title !== undefined) titles.push(title)
  })
  t.strictSame(titles.sort(), ['definition', 'first', 'item', 'not', 'one', 'property', 'root'])
})

await t.test('a mapped schema is a copy', async (t) => {
  const before = structuredClone(schema)
  const mapped = mapSchemas(schema, (inner) => ({ ...inner, title: undefined })) as typeof schema
  t.strictSame(schema, before)
  t.strictSame(mapped.const, { title: 'data' })
  t.strictSame(mapped.properties.list, {
    title: undefined,
    items: { title: undefined },
    prefixItems: [{ title: undefined }, true],
  })
})
