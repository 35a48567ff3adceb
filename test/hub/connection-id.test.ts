import t from 'tap'
import { drawConnectionId, nodeOf } from '../../src/hub/connection-id.js'

await t.test('the id of a connection names its node, and is drawn anew each time', (t) => {
  // the random part may have the separator, and so may the node
  for (const node of ['n', 'a-b', 'node-', '-']) {
    const ids = Array.from({ length: 500 }, () => drawConnectionId(node))
    t.ok(ids.every((id) => nodeOf(id) === node))
    t.equal(new Set(ids).size, ids.length)
  }
  t.end()
})

await t.test('any other text names no node', (t) => {
  const id = `node-${'r'.repeat(16)}` // a drawn id may have a separator where these texts have the random part
  for (const text of ['', '-', 'node', id.slice('node'.length), id.slice(0, -1), `${id}x`])
    t.equal(nodeOf(text), undefined)
  t.end()
})
