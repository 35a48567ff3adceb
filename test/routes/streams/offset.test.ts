import fc from 'fast-check'
import t from 'tap'
import { parseOffset, printOffset } from '../../../src/routes/streams/offset.js'

const sequences = fc.nat({ max: Number.MAX_SAFE_INTEGER })

await t.test('offsets sort as text in the order of their sequences', async () => {
  fc.assert(fc.property(sequences, sequences, (a, b) => Math.sign(a - b) === compare(printOffset(a), printOffset(b))))
})

await t.test('an offset is read as it was printed', async () => {
  fc.assert(fc.property(sequences, (sequence) => parseOffset(printOffset(sequence)) === sequence))
})

await t.test('the start has three spellings', async (t) => {
  for (const text of ['-1', '0000000000000000', '0000000000000000_0000000000000000'])
    t.equal(parseOffset(text), 0, text)
})

await t.test('any other text is refused', async (t) => {
  const texts = ['', '0', '1', 'now', '-2', '000000000000000a', '9999999999999999', ' 0000000000000001', '1,2', '../x']
  for (const text of texts) t.throws(() => parseOffset(text), { code: 'invalid-offset' }, text)
})

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
