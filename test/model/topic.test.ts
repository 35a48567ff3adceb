import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { HubError } from '../../src/model/hub-error.js'
import {
  covers,
  isExact,
  isPattern,
  isReserved,
  isTopic,
  matches,
  requirePattern,
  requireTopic,
  resolveGrant,
} from '../../src/model/topic.js'
import { show } from '../hub/show.js'

const SEGMENT_64 = 'a'.repeat(64)
const SEGMENTS_16 = Array.from({ length: 16 }, () => 'a').join('.')
const CHARACTERS_200 = `${SEGMENT_64}.${SEGMENT_64}.${SEGMENT_64}.${'a'.repeat(5)}`

await t.test('topics', (t) => {
  const topics = [
    'a',
    'orders.42',
    'A-Z_~:@-.09',
    '-',
    'fanfare',
    'fanfare.stats',
    'fanfares',
    SEGMENT_64,
    SEGMENTS_16,
    CHARACTERS_200,
    '__proto__.constructor',
  ]
  for (const topic of topics) {
    t.equal(isTopic(topic), true, `topic: ${topic}`)
    t.equal(isPattern(topic), true, `pattern: ${topic}`)
    t.equal(isExact(topic), true, `exact: ${topic}`)
  }
  t.end()
})

await t.test('texts that are neither topics nor patterns', (t) => {
  const wrong = [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    ' a',
    'a ',
    'a/b',
    'é',
    'a.ü',
    'a\n',
    '\na',
    'a\0',
    'a\u2028',
    'a%2e',
    '{sub}',
    'a,b',
    'a?b',
    'a#b',
    'a+b',
    'a'.repeat(65),
    `${SEGMENTS_16}.a`,
    `${CHARACTERS_200}a`,
    'a*',
    '*a',
    'a.b*',
    '***',
    '**.a',
    'a.**.b',
    '**.**',
    `${SEGMENTS_16}.*`,
    `${SEGMENTS_16}.**`,
    '*.'.repeat(16) + '*',
  ]
  for (const text of wrong) {
    t.equal(isTopic(text), false, `topic: ${show(text)}`)
    t.equal(isPattern(text), false, `pattern: ${show(text)}`)
  }
  t.end()
})

await t.test('patterns that are not topics', (t) => {
  const fifteen = Array.from({ length: 15 }, () => 'a').join('.')
  for (const pattern of ['*', '**', 'a.*', 'a.**', '*.a', '*.*', '*.**', 'a.*.b.**', `${fifteen}.*`, `${fifteen}.**`]) {
    t.equal(isPattern(pattern), true, pattern)
    t.equal(isTopic(pattern), false, pattern)
    t.equal(isExact(pattern), false, pattern)
  }
  t.end()
})

await t.test('the first segment "fanfare" is reserved', (t) => {
  for (const topic of ['fanfare', 'fanfare.stats', 'fanfare.*', 'fanfare.**']) t.equal(isReserved(topic), true, topic)
  for (const topic of ['fanfares', 'fanfare-x.a', 'a.fanfare', 'Fanfare', '*', '**', '*.stats'])
    t.equal(isReserved(topic), false, topic)
  t.end()
})

await t.test('patterns match topics', (t) => {
  const table: [pattern: string, topic: string, matches: boolean][] = [
    ['a', 'a', true],
    ['a', 'b', false],
    ['a', 'a.b', false],
    ['a.b', 'a', false],
    ['a', 'A', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['**', 'a', true],
    ['**', 'a.b.c', true],
    ['**', SEGMENTS_16, true],
    ['a.*', 'a', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.b.c', false],
    ['a.*', 'b.a', false],
    ['a.**', 'a', false],
    ['a.**', 'a.b', true],
    ['a.**', 'a.b.c', true],
    ['a.**', 'aa.b', false],
    ['*.b', 'a.b', true],
    ['*.b', 'a.c', false],
    ['a.*.c', 'a.b.c', true],
    ['a.*.c', 'a.c', false],
    ['*.**', 'a', false],
    ['*.**', 'a.b', true],
    ['**', 'fanfare.stats', false],
    ['*', 'fanfare', false],
    ['*.stats', 'fanfare.stats', false],
    ['*.*', 'fanfare.stats', false],
    ['fanfare.*', 'fanfare.stats', true],
    ['fanfare.**', 'fanfare.stats', true],
    ['fanfare.stats', 'fanfare.stats', true],
    ['fanfare.**', 'fanfare', false],
    ['**', 'fanfares.stats', true],
  ]
  for (const [pattern, topic, expected] of table) t.equal(matches(pattern, topic), expected, `${pattern} ${topic}`)
  t.end()
})

await t.test('grants cover patterns', (t) => {
  const table: [grant: string, asked: string, covers: boolean][] = [
    ['a.*', 'a.*', true],
    ['a.**', 'a.*', true],
    ['a.*', 'a.**', false],
    ['a.**', 'a.**', true],
    ['a.**', 'a', false],
    ['a.**', 'a.b.**', true],
    ['**', '**', true],
    ['**', '*', true],
    ['**', '*.a', true],
    ['*', '**', false],
    ['*.**', '**', false],
    ['**', '*.**', true],
    ['*.*', '*.**', false],
    ['a.*.c', 'a.*.c', true],
    ['a.*.c', 'a.b.*', false],
    ['a.*.*', 'a.b.*', true],
    ['*.b', 'a.b', true],
    ['*.b', '*.b', true],
    ['a.b', '*.b', false],
    ['**', 'fanfare.**', false],
    ['*.**', 'fanfare.*', false],
    ['fanfare.**', 'fanfare.*', true],
    ['fanfare.*', 'fanfare.**', false],
    ['fanfare.**', '**', false],
  ]
  for (const [grant, asked, expected] of table) t.equal(covers(grant, asked), expected, `${grant} ${asked}`)
  t.end()
})

/** All topics of up to four segments. One segment of the alphabet occurs in no pattern. */
const ALPHABET = ['a', 'b', 'fanfare', 'unheard-of']
const UNIVERSE = [1, 2, 3, 4].flatMap((length) => combinations(ALPHABET, length))

function combinations(alphabet: readonly string[], length: number): string[] {
  return length === 1
    ? [...alphabet]
    : combinations(alphabet, length - 1).flatMap((start) => alphabet.map((segment) => `${start}.${segment}`))
}

/** Returns the matcher of a pattern by the definition in the docs, as a regular expression. */
function matcherOf(pattern: string): (topic: string) => boolean {
  const source = pattern.split('.').map((segment, index) => {
    const first = index === 0 ? '(?!fanfare(?:\\.|$))' : '' // no wildcard reaches into the system topics
    return segment === '**' ? `${first}[^.]+(?:\\.[^.]+)*` : segment === '*' ? `${first}[^.]+` : segment
  })
  const expression = new RegExp(`^${source.join('\\.')}$`)
  return (topic) => expression.test(topic)
}

/** Patterns of up to three segments, so that topics of four segments distinguish `**` from shorter patterns. */
function anyPattern(): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.array(fc.constantFrom('a', 'b', 'fanfare', '*'), { maxLength: 2 }),
      fc.constantFrom('a', 'b', 'fanfare', '*', '**'),
    )
    .map(([start, last]) => [...start, last].join('.'))
}

await t.test('matches agrees with the definition of patterns', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyPattern(), (pattern) => {
        same(
          UNIVERSE.filter((topic) => matches(pattern, topic)),
          UNIVERSE.filter(matcherOf(pattern)),
        )
      }),
    ),
  )
  t.end()
})

await t.test('covers agrees with a comparison over all topics', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyPattern(), anyPattern(), (grant, asked) => {
        const isGranted = matcherOf(grant)
        same(covers(grant, asked), UNIVERSE.filter(matcherOf(asked)).every(isGranted))
      }),
      { numRuns: 2_000 },
    ),
  )
  t.end()
})

await t.test('isTopic and isPattern agree with the rules of segments and wildcards', (t) => {
  const segment = fc.oneof(
    fc.constantFrom('a', '*', '**', '', 'a*', '*a', 'é', 'x'.repeat(64), 'x'.repeat(65)),
    fc.string({ unit: fc.constantFrom('a', 'Z', '~', ':', '@', '-', '*', ' '), maxLength: 4 }),
  )
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 18 }), (segments) => {
        const text = segments.join('.')
        const isPlain = (part: string) => /^[A-Za-z0-9_~:@-]{1,64}$/.test(part)
        const fits = segments.length <= 16 && text.length <= 200
        same(isTopic(text), fits && segments.every(isPlain))
        same(
          isPattern(text),
          fits &&
            segments.every(
              (part, index) => isPlain(part) || part === '*' || (part === '**' && index === segments.length - 1),
            ),
        )
      }),
      { numRuns: 500 },
    ),
  )
  t.end()
})

await t.test('{sub} in a grant stands for the subject, if the subject is one plain segment', (t) => {
  const table: [grant: string, sub: string | undefined, pattern: string | undefined][] = [
    ['a.b', undefined, 'a.b'],
    ['users.{sub}', 'u1', 'users.u1'],
    ['users.{sub}.**', 'u1', 'users.u1.**'],
    ['{sub}.{sub}', 'u1', 'u1.u1'],
    ['{sub}', '@a:b~c-1', '@a:b~c-1'],
    ['users.{sub}', undefined, undefined],
    ['users.{sub}', '', undefined],
    ['users.{sub}', 'a.b', undefined],
    ['users.{sub}', '*', undefined],
    ['users.{sub}.x', '**', undefined],
    ['users.{sub}', 'a*', undefined],
    ['users.{sub}', 'a b', undefined],
    ['users.{sub}', 'é', undefined],
    ['users.{sub}', 'a'.repeat(65), undefined],
    ['users.{sub}', '{sub}', undefined],
    ['users.{sub}', 'u1\n', undefined],
    ['users.x{sub}', 'u1', undefined],
    ['users.{sub}x', 'u1', undefined],
    ['users.{SUB}', 'u1', undefined],
    ['{sub}.fanfare', 'fanfare', 'fanfare.fanfare'],
    ['', 'u1', undefined],
    ['a..b', 'u1', undefined],
    ['**.a', 'u1', undefined],
  ]
  for (const [grant, sub, pattern] of table) t.equal(resolveGrant(grant, sub), pattern, `${grant} ${String(sub)}`)
  t.end()
})

await t.test('requireTopic and requirePattern explain a refusal', (t) => {
  t.doesNotThrow(() => requireTopic('orders.42'))
  t.doesNotThrow(() => requirePattern('orders.**'))
  t.throws(
    () => requireTopic('orders.*'),
    new HubError(
      'invalid-topic',
      '"orders.*" is not a valid topic: 1 to 16 segments joined by ".", each 1 to 64 of A-Z a-z 0-9 _ ~ : @ -, 200 characters at most.',
    ),
  )
  t.throws(() => requireTopic('a\r\nb'), { code: 'invalid-topic', message: /^"a\\r\\nb" is not a valid topic/ })
  t.throws(() => requireTopic('x'.repeat(1_000)), { message: /^"x{80}…" is not a valid topic/ })
  t.throws(() => requireTopic('fanfare.stats'), { code: 'reserved-topic' })
  t.throws(() => requirePattern('a.**.b'), {
    code: 'invalid-pattern',
    message: /^"a\.\*\*\.b" is not a valid topic or pattern/,
  })
  t.doesNotThrow(() => requirePattern('fanfare.stats'))
  t.end()
})
