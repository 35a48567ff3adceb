import { readdirSync } from 'node:fs'
import t from 'tap'
import { namedSchemas, References, withReferences } from '../../src/openapi/components.js'

const FOLDER = '../../src/schemas/'
/** Files without schemas. */
const OTHERS = ['parameters.ts', 'typebox.ts', 'validation.ts']

await t.test('every schema that src/schemas exports has a name', async (t) => {
  const named = namedSchemas()
  for (const file of readdirSync(new URL(FOLDER, import.meta.url)).filter((name) => !OTHERS.includes(name))) {
    const module = (await import(FOLDER + file.replace(/\.ts$/, '.js'))) as Record<string, unknown>
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== 'object' || /(?:Params|Query)$/.test(name)) continue
      t.equal(named.get(name), value, `${file}: ${name}`)
    }
  }
})

await t.test('a schema within another one becomes a reference', async (t) => {
  const inner = { type: 'string', minLength: 1 }
  const outer = { type: 'object', properties: { a: { ...inner }, b: { anyOf: [inner, { type: 'null' }] } } }
  const references = new References(
    new Map<string, object>([
      ['Inner', inner],
      ['Outer', outer],
    ]),
  )
  const $ref = '#/components/schemas/Inner'
  t.strictSame(withReferences(references.mark(outer, 'Outer')), {
    type: 'object',
    properties: { a: { $ref }, b: { anyOf: [{ $ref }, { type: 'null' }] } },
  })
  t.strictSame(withReferences(references.mark([outer])), [{ $ref: '#/components/schemas/Outer' }])
})
