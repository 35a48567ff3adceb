import t from 'tap'
import { Followers } from '../../src/log/followers.js'
import type { LogDelta } from '../../src/log/log.js'

const delta = (): LogDelta => ({ events: [], trims: [], records: [] })
const start = { head: 3, mark: 2 }

await t.test('every follower gets every delta until it stops, also a function that follows twice', (t) => {
  const followers = new Followers()
  const got: LogDelta[] = []
  const follow = (next: LogDelta) => void got.push(next)
  const one = followers.add(follow, start)
  followers.add(follow, start)
  t.match(one, start, 'it begins at the view')
  const [first, second, third] = [delta(), delta(), delta()]
  followers.tell(first)
  one.stop()
  followers.tell(second)
  followers.clear()
  followers.tell(third)
  t.ok(got.length === 3 && got[0] === first && got[1] === first && got[2] === second)
  t.end()
})

await t.test('a delta that a follower causes comes after the current one, to all', (t) => {
  const followers = new Followers()
  const [first, second] = [delta(), delta()]
  const got: string[] = []
  const name = (next: LogDelta) => (next === first ? 'first' : 'second')
  followers.add((next) => {
    if (next === first) followers.tell(second)
    got.push(`a ${name(next)}`)
  }, start)
  followers.add((next) => void got.push(`b ${name(next)}`), start)
  followers.tell(first)
  t.strictSame(got, ['a first', 'b first', 'a second', 'b second'])
  t.end()
})
