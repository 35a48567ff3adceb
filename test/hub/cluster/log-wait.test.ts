import t from 'tap'
import type { Cluster } from '../../../src/cluster/cluster.js'
import { waitFor } from '../../../src/hub/cluster/log-wait.js'
import { Messenger } from '../../../src/hub/cluster/messenger.js'
import type { EventLog } from '../../../src/log/log.js'
import { HubError } from '../../../src/model/hub-error.js'
import { localCluster } from '../../helper/local-cluster.js'

const EPOCH = 'aaaaaaaa'

/** The parts of a log that the wait uses. */
function logWith(catchUp?: () => Promise<void>): EventLog {
  return { view: { epoch: EPOCH }, ...(catchUp && { catchUp }) } as unknown as EventLog
}

function waiting(nodes: number, head: number, log = logWith()) {
  const [cluster] = localCluster(nodes) as [Cluster]
  const state = { head }
  return { state, source: { messenger: new Messenger(cluster), log, head: () => state.head } }
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

await t.test('a log that can catch up is asked instead, also by a single process', async (t) => {
  let asked = 0
  const log = logWith(async () => {
    asked++
  })
  for (const nodes of [1, 2]) await waitFor(waiting(nodes, 5, log).source, `${EPOCH}-9`)
  t.equal(asked, 2)
  t.equal(waitFor(waiting(2, 5, log).source, `${EPOCH}-5`), undefined)
  t.equal(asked, 2, 'not for a known cursor')
  const silent = logWith(() => Promise.reject(new HubError('log-unavailable', 'The log does not answer.')))
  await t.rejects(waitFor(waiting(2, 5, silent).source, `${EPOCH}-9`)!, { code: 'log-unavailable' })
})
