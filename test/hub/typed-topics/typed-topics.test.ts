import t, { type Test } from 'tap'
import { TypedTopics } from '../../../src/hub/typed-topics/typed-topics.js'
import { checkEvent, type EventInput } from '../../../src/model/event.js'
import { HubError } from '../../../src/model/hub-error.js'
import { schemaFile } from './schema-file.js'

/** Returns a function that returns the faults of an event; an empty array if it fits. */
function open(t: Test, content: unknown) {
  const typed = TypedTopics.open(schemaFile(t, content))
  return (topic: string, event: EventInput): string[] => {
    try {
      typed.check(checkEvent(topic, event, 300_000))
      return []
    } catch (err) {
      if (!(err instanceof HubError) || err.code !== 'schema-mismatch') throw err
      t.ok(err.message.includes(`${err.errors![0]!.path} ${err.errors![0]!.message}.`), err.message)
      return err.errors!.map(({ path, message }) => `${path} ${message}`)
    }
  }
}

const order = { type: 'object', properties: { total: { type: 'number' } }, required: ['total'] }

await t.test('an event must fit the schemas of all patterns that match its topic', async (t) => {
  const faults = open(t, {
    'orders.*': order,
    'orders.**': { properties: { total: { minimum: 0 } } },
    'orders.1': true,
  })
  t.strictSame(faults('orders.1', { data: { total: 1 } }), [])
  t.strictSame(faults('orders.1', { data: { total: -1 } }), ['/data/total must be >= 0'])
  t.strictSame(faults('orders.1', { data: { total: '1' } }), ['/data/total must be number'])
  t.strictSame(faults('orders.1.items', { data: { total: '1' } }), [], 'only ** matches')
  t.strictSame(faults('other', { data: null }), [], 'a topic without a schema takes any event')
})

await t.test('texts and bytes are checked as strings', async (t) => {
  const faults = open(t, { 'orders.*': order, notes: { type: 'string', maxLength: 4 } })
  t.strictSame(faults('orders.1', { text: '{"total":1}' }), ['/text must be object'])
  t.strictSame(faults('orders.1', { bytes: 'AAAA' }), ['/bytes must be object'])
  t.strictSame(faults('notes', { text: 'abcd' }), [])
  t.strictSame(faults('notes', { text: 'abcde' }), ['/text must NOT have more than 4 characters'])
  t.strictSame(faults('notes', { bytes: new Uint8Array([1]) }), [])
})

await t.test('the value is checked as it is sent', async (t) => {
  const faults = open(t, { a: { type: 'object', properties: { at: { type: 'string' } }, additionalProperties: false } })
  t.strictSame(faults('a', { data: { at: new Date(0), none: undefined } }), [])
})

await t.test('a schema may depend on the type', async (t) => {
  const faults = open(t, {
    'orders.*': { types: { created: order, deleted: { type: 'null' } } },
    open: { types: { created: order, '*': true } },
  })
  t.strictSame(faults('orders.1', { type: 'created', data: { total: 1 } }), [])
  t.strictSame(faults('orders.1', { type: 'deleted', data: null }), [])
  t.strictSame(faults('orders.1', { type: 'deleted', data: 1 }), ['/data must be null'])
  t.strictSame(faults('orders.1', { type: 'toString', data: 1 }), [
    '/type is "toString", and must be one of "created", "deleted"',
  ])
  t.strictSame(faults('orders.1', { data: 1 }), ['/type is missing, and must be one of "created", "deleted"'])
  t.strictSame(faults('open', { type: 'other', data: 1 }), [])
  t.strictSame(faults('open', { data: 1 }), [])
  t.strictSame(faults('open', { type: 'created', data: 1 }), ['/data must be object'])
})

await t.test('the check of one event has a time limit', async (t) => {
  const faults = open(t, {
    names: { type: 'string', pattern: '^(a+)+$' },
    trees: {
      anyOf: [
        { type: 'array', items: { $ref: '#' } },
        { type: 'array', items: { $ref: '#' }, minItems: 1 },
        { const: 1 },
      ],
    },
  })
  const started = performance.now()
  t.strictSame(faults('names', { data: 'aaa' }), [])
  t.strictSame(faults('names', { data: `${'a'.repeat(60)}b` }), ['/data takes longer than 100 ms to check'])
  t.strictSame(faults('trees', { data: JSON.parse(`${'['.repeat(100)}2${']'.repeat(100)}`) }), [
    '/data takes longer than 100 ms to check',
  ])
  t.ok(performance.now() - started < 5_000)
})
