import t from 'tap'
import { drawDevelopmentKey, firstMinute } from '../src/first-minute.js'

await t.test('what is printed can be pasted, and the link signs in to the console', (t) => {
  const key = drawDevelopmentKey()
  const told = firstMinute('http://127.0.0.1:3000', key, true)
  t.equal(told.console, `http://127.0.0.1:3000/#token=${key.token}`)
  for (const words of [told.token, told.subscribe, told.publish, told.console!]) t.ok(told.text.includes(words))
  t.notOk(told.text.includes(key.secret))
  t.end()
})

await t.test('without the console there is no link to it', (t) => {
  const told = firstMinute('http://127.0.0.1:3000', drawDevelopmentKey(), false)
  t.notOk('console' in told)
  t.notMatch(told.text, /#token/)
  t.end()
})
