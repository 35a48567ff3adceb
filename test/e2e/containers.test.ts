/** Hubs in containers of their own on one folder: each has a PID namespace, so several have the same process id. */
import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { poll } from '../helper/deadline.js'
import { post, publish, request, send, type Published } from '../helper/http.js'
import { startHub, type Hub } from '../helper/process.js'
import { openLive, streamUrl } from '../helper/stream.js'
import { anyTopic, token } from '../helper/token.js'

const bearer = anyTopic()
const admin = token({ sub: 'root', admin: true })
/** The command line that runs a hub as process 1 of a PID namespace. */
const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']

t.setTimeout(240_000)

const isMissing = spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status !== 0
const skip = isMissing && 'no PID namespace can be made here: run the test as root on Linux'

function start(t: Test, folder: string, env: Record<string, string> = {}): Promise<Hub> {
  return startHub(t, { FANFARE_LOG: `file:${folder}`, ...env }, CONTAINER)
}

const leads = (hub: Hub) => hub.logs().some(({ role }) => role === 'leader')

await t.test('containers with the same process ids share a volume', { skip }, async (t) => {
  const folder = `${t.testdir({})}/log`
  const leader = await start(t, folder)
  const others = await Promise.all([start(t, folder), start(t, folder, { FANFARE_WORKERS: '2' }), start(t, folder)])
  t.ok(leads(leader))
  t.ok(leader.logs().every(({ pid }) => pid === 1))
  const { body: nodes } = await send<unknown[]>(leader, 'GET', '/nodes', { token: admin })
  t.equal(nodes.length, 5, 'all processes are nodes of one hub')

  const streams = await Promise.all(others.map((hub) => openLive(t, streamUrl(hub, ['a']), { token: bearer })))
  for (const [n, hub] of [leader, ...others].entries()) await publish(hub, 'a', { data: n }, bearer)
  for (const stream of streams) await stream.until(() => stream.events.length === 4)

  await leader.kill()
  const { body } = await poll(
    async () => {
      const answer = await post<Published>(`${others[0].url}/topics/a/events`, { data: 4, id: 'after' }, bearer)
      return answer.status < 300 ? answer : undefined
    },
    () => 'nobody takes over',
  )
  for (const stream of streams) await stream.until(() => stream.events.length === 5)
  for (const { events } of streams)
    t.strictSame(
      events.map(({ data }) => data),
      ['0', '1', '2', '3', '4'],
    )
  t.equal(streams[0]!.events.at(-1)!.id, body.id)
  const again = await start(t, folder)
  const page = await request<{ events: unknown[] }>(streamUrl(again, ['a']), {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
  })
  t.equal(page.body.events.length, 5, 'a container that comes later reads all')
})
