import t from 'tap'
import { describeTopics } from '../../src/openapi/topic-schemas.js'

await t.test('names of components have the characters that OpenAPI allows, and are unique', async (t) => {
  const patterns = ['a.*', 'a.any', 'a.**', '**', 'a:b', 'a@b', 'a~b', 'a_b']
  const { components } = describeTopics(patterns.map((pattern) => ({ pattern, schema: true })))
  const names = Object.keys(components)
  t.equal(names.length, patterns.length)
  for (const name of names) t.match(name, /^[\w.-]+$/)
})
