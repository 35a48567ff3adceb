/** Lines of an input, however its bytes arrive. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { LineReader } from '../../src/commands/line-reader.js'

const never = new AbortController().signal

await t.test('the lines are the same for every division of the input into chunks', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[a-c \r]{0,5}$/), { maxLength: 20 }),
      fc.array(fc.nat(10), { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      async (lines, sizes, endsWithBreak) => {
        const bytes = Buffer.from(lines.join('\n') + (endsWithBreak ? '\n' : ''))
        const chunks: Buffer[] = []
        for (let from = 0, n = 0; from < bytes.length; n++) {
          const size = 1 + sizes[n % sizes.length]!
          chunks.push(bytes.subarray(from, from + size))
          from += size
        }
        const reader = new LineReader(Readable.from(chunks, { objectMode: false }), never)
        const read: [number, string][] = []
        for (let taken = await reader.take(3, 8); taken.length > 0; taken = await reader.take(3, 8)) {
          t.ok(taken.length <= 3)
          t.ok(taken.length === 1 || taken.reduce((sum, { text }) => sum + text.length, 0) <= 8)
          read.push(...taken.map(({ number, text }): [number, string] => [number, text.toString()]))
        }
        const expected = lines
          .map((line, index): [number, string] => [index + 1, line.replace(/\r$/, '')])
          .filter(([, line]) => line.trim() !== '')
        t.strictSame(read, expected)
      },
    ),
    { numRuns: 50 },
  )
})

await t.test('a signal ends the waiting for input', async (t) => {
  const stop = new AbortController()
  const input = new Readable({ read: () => undefined })
  const taken = new LineReader(input, stop.signal).take(1, 1)
  stop.abort()
  t.strictSame(await taken, [])
})

await t.test('an endless line is refused', async (t) => {
  const input = Readable.from(
    (function* () {
      for (;;) yield Buffer.alloc(16 * 1024 * 1024, 'x')
    })(),
    { objectMode: false },
  )
  await t.rejects(new LineReader(input, never).take(1, 1), { message: /^Line 1 is longer than 64 MiB/ })
})
