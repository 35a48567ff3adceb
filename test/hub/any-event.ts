import fc from 'fast-check'
import { isType, type EventInput } from '../../src/model/event.js'

/** Characters that end a line, start a field or are invisible in some parser. */
const TRAPS = [
  '\n',
  '\r',
  '\r\n',
  '\0',
  '\u2028',
  '\u2029',
  '\u0085',
  '\u000b',
  '\u000c',
  '\ufeff',
  ' ',
  '  ',
  ':',
  '',
  '\n\n',
  'data: x',
  'id: 1',
  'event: x',
  '\nretry: 1\n',
  ': ',
  '𝄞',
  'é',
  '"',
  '\\',
]

/** Texts, many of them with characters that are critical on an event stream. */
export function anyText(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.array(fc.constantFrom(...TRAPS), { maxLength: 12 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({
      unit: fc.oneof(fc.constantFrom(...TRAPS), fc.string({ unit: 'grapheme', maxLength: 5 })),
      maxLength: 12,
    }),
  )
}

/** Valid types. */
export function anyType(): fc.Arbitrary<string> {
  return fc.oneof(anyText(), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })).filter(isType)
}

/** Valid attributes with critical characters, for any payload. */
export function anyAttributes(): fc.Arbitrary<Record<string, string>> {
  const unit = fc.constantFrom('a', 'z', '0', '9')
  const value = fc
    .oneof(anyText(), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }))
    .filter((text) => /^[^\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]{1,1024}$/u.test(text))
  return fc.dictionary(fc.string({ unit, minLength: 1, maxLength: 20 }), value, { maxKeys: 16, noNullPrototype: true })
}

/** Valid events. */
export function anyInput(): fc.Arbitrary<EventInput> {
  const type = fc.option(anyType(), { nil: undefined })
  const attributes = fc.option(anyAttributes(), { nil: undefined })
  return fc.oneof(
    fc.record({ text: anyText(), type, attributes }),
    fc.record({ data: fc.oneof(anyText(), fc.jsonValue({ stringUnit: 'binary', maxDepth: 3 })), type, attributes }),
    fc.record({ bytes: fc.uint8Array({ maxLength: 60 }), type, attributes }),
  )
}
