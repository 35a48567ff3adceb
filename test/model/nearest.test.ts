import t from 'tap'
import { nearest } from '../../src/model/nearest.js'

const known = ['lastEventId', 'replay', 'from', 'format']

await t.test('a misspelt name has the known name with the fewest changes, ignoring case', (t) => {
  t.equal(nearest('lasteventid', known), 'lastEventId')
  t.equal(nearest('repaly', known), 'replay')
  t.equal(nearest('form', known), 'from')
  t.equal(nearest('formt', known), 'format')
  t.equal(nearest('b', ['a', 'B', 'c']), 'B')
  t.end()
})

await t.test('a name that differs in more than half of its characters has none', (t) => {
  t.equal(nearest('ab', ['ax']), 'ax', 'half of the characters')
  t.equal(nearest('abc', ['axx']), undefined)
  t.equal(nearest('x', known), undefined)
  t.equal(nearest('', known), undefined)
  t.equal(nearest('replay', []), undefined)
  t.end()
})
