import t from 'tap'
import type { Cluster } from '../../../src/cluster/cluster.js'
import { waitFor } from '../../../src/hub/cluster/log-wait.js'
import { Messenger } from '../../../src/hub/cluster/messenger.js'
import { localCluster } from '../../helper/local-cluster.js'

const EPOCH = 'aaaaaaaa'

function waiting(nodes: number, head: number) {
  const [cluster] = localCluster(nodes) as [Cluster]
  const state = { head }
  return { state, source: { messenger: new Messenger(cluster), epoch: EPOCH, head: () => state.head } }
}

await t.test('only a cursor of this log that is ahead of the process is waited for', async (t) => {
  const { source } = waiting(2, 5)
  for (const id of [undefined, '', 'x', `${EPOCH}-5`, `${EPOCH}-0`, 'bbbbbbbb-6'])
    t.equal(waitFor(source, id), undefined, id ?? 'none')
  t.equal(waitFor(waiting(1, 5).source, `${EPOCH}-6`), undefined, 'a single process has sent every cursor itself')
})

await t.test('the wait ends when the process has taken the event', async (t) => {
  const { source, state } = waiting(2, 5)
  let isOver = false
  const wait = waitFor(source, `${EPOCH}-7`)!.then(() => (isOver = true))
  state.head = 6
  await waitFor(source, `${EPOCH}-7`.replace('7', '6'))
  t.notOk(isOver)
  state.head = 7
  await wait
})

await t.test('the wait ends after a second if the event never comes', async (t) => {
  const begin = performance.now()
  await waitFor(waiting(2, 5).source, `${EPOCH}-9`)
  t.ok(performance.now() - begin >= 990)
})
