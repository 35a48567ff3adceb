/** The routes use the schemas only for events that the hub refuses. */
import fc from 'fast-check'
import t from 'tap'
import { checkEvent, type EventInput } from '../../src/model/event.js'
import { HubError } from '../../src/model/hub-error.js'
import { BatchEvent, EventBody } from '../../src/schemas/event.js'
import { compileShape } from '../../src/schemas/validation.js'
import { anyAttributes } from '../hub/any-event.js'

const ofBatch = compileShape(BatchEvent)
const single = compileShape(EventBody)

const member = fc.oneof(
  fc.constantFrom<unknown>('', 'x', 'fanfare.x', true, false, null, 0, 1, 'true', [], {}, ['x'], { topic: 'a' }),
  fc.jsonValue(),
)
const anyInput = fc.record(
  {
    topic: fc.constant('a'),
    data: member,
    text: member,
    bytes: member,
    attributes: member,
    type: member,
    id: member,
    ephemeral: member,
    more: member,
    ['__proto__']: member,
  },
  { requiredKeys: ['topic'] },
)
/** The hub refuses most of the events above. This set has more valid ones. */
const likely = fc.record(
  {
    topic: fc.constant('a'),
    data: fc.jsonValue(),
    type: fc.constantFrom('x', 'two words'),
    id: fc.constantFrom('1', 'a b'),
    attributes: fc.oneof(anyAttributes(), fc.dictionary(fc.string({ maxLength: 3 }), member, { maxKeys: 3 })),
    ephemeral: fc.boolean(),
  },
  { requiredKeys: ['topic'] },
)

const likelyBytes = fc.record({
  topic: fc.constant('a'),
  bytes: fc.oneof(fc.base64String(), fc.string({ maxLength: 4 })),
})

await t.test('the schemas accept every event that the hub accepts', async (t) => {
  const seen = { accepted: 0, refused: 0 }
  fc.assert(
    fc.property(fc.oneof(anyInput, likely, likelyBytes), (made) => {
      const parsed = JSON.parse(JSON.stringify(made)) as EventInput
      const accepted = isAccepted(parsed)
      if (accepted) seen.accepted++
      else seen.refused++
      const body = Object.fromEntries(Object.entries(parsed).filter(([name]) => name !== 'topic'))
      return !accepted || (ofBatch.check(parsed) && single.check(body))
    }),
    { numRuns: 3_000 },
  )
  t.ok(seen.accepted > 100 && seen.refused > 100, JSON.stringify(seen))
})

function isAccepted(parsed: EventInput): boolean {
  try {
    checkEvent('a', parsed, 1_000_000)
    return true
  } catch (err) {
    if (err instanceof HubError) return false
    throw err
  }
}
