import { deepStrictEqual as same } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { drawEpoch, parseCursor, printCursor } from '../../src/model/cursor.js'
import { show } from '../hub/show.js'

await t.test('parsing reverses printing', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789'.match(/./g)!),
          minLength: 8,
          maxLength: 8,
        }),
        fc.maxSafeNat(),
        (epoch, sequence) => {
          same(parseCursor(printCursor(epoch, sequence)), { epoch, sequence })
        },
      ),
    ),
  )
  t.strictSame(parseCursor('8f3kq0zt-1042'), { epoch: '8f3kq0zt', sequence: 1042 })
  t.strictSame(parseCursor('00000000-0'), { epoch: '00000000', sequence: 0 })
  t.end()
})

await t.test('a sequence beyond any log is read as the largest safe integer', (t) => {
  t.strictSame(parseCursor('8f3kq0zt-99999999999999999999'), { epoch: '8f3kq0zt', sequence: Number.MAX_SAFE_INTEGER })
  t.end()
})

await t.test('other texts are not cursors', (t) => {
  const wrong = [
    '',
    '42',
    '8f3kq0zt',
    '8f3kq0zt-',
    '-42',
    '8f3kq0z-42',
    '8f3kq0ztt-42',
    '8F3KQ0ZT-42',
    '8f3kq0zt-042',
    '8f3kq0zt--1',
    '8f3kq0zt-1.5',
    '8f3kq0zt-1e3',
    '8f3kq0zt-0x10',
    '8f3kq0zt_42',
    ' 8f3kq0zt-42',
    '8f3kq0zt-42 ',
    '8f3kq0zt-42\n',
    '\n8f3kq0zt-42',
    '8f3kq0zt-٤٢',
    '8f3kq0zt-999999999999999999999',
    'ábcdefgh-1',
    '8f3kq0zt-42,8f3kq0zt-43',
  ]
  for (const text of wrong) t.equal(parseCursor(text), undefined, show(text))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), (text) => {
        const cursor = parseCursor(text)
        if (cursor) same(printCursor(cursor.epoch, cursor.sequence), text)
      }),
    ),
  )
  t.end()
})

await t.test('an epoch is 8 random characters of a-z 0-9', (t) => {
  const epochs = Array.from({ length: 1_000 }, drawEpoch)
  t.ok(epochs.every((epoch) => /^[a-z0-9]{8}$/.test(epoch)))
  t.equal(new Set(epochs).size, epochs.length)
  t.equal(new Set(epochs.join('')).size, 36, 'every character occurs')
  t.end()
})
