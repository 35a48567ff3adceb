/** The states of a hub. */
import t from 'tap'
import { Lifecycle } from '../../src/hub/lifecycle.js'

await t.test('a hub starts to drain once, and takes requests meanwhile', (t) => {
  const lifecycle = new Lifecycle()
  t.equal(lifecycle.draining, false)
  t.equal(lifecycle.drain(), true)
  t.equal(lifecycle.draining, true)
  t.equal(lifecycle.drain(), false)
  t.doesNotThrow(() => lifecycle.requireOpen())
  t.doesNotThrow(() => lifecycle.requireTime())
  t.end()
})

await t.test('a hub that is about to close refuses to wait, and drains', (t) => {
  const lifecycle = new Lifecycle()
  lifecycle.end()
  t.equal(lifecycle.draining, true)
  t.throws(() => lifecycle.requireTime(), { code: 'hub-closed' })
  t.doesNotThrow(() => lifecycle.requireOpen(), 'it is open still')
  t.end()
})

await t.test('a closed hub is not open, and cannot drain again', (t) => {
  const lifecycle = new Lifecycle()
  lifecycle.close()
  t.throws(() => lifecycle.requireOpen(), { code: 'hub-closed' })
  t.equal(lifecycle.draining, true)
  t.equal(lifecycle.drain(), false)
  t.end()
})
