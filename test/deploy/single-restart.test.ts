/** The hub of deploy/kubernetes/single, whose Pod is replaced: the same port, and the same volume. */
import t from 'tap'
import { freePort } from '../helper/free-port.js'
import { startHub } from '../helper/process.js'
import { SECRET } from '../helper/token.js'
import { environmentOf, findResource, imageEnvironment, type Workload } from './files.js'
import { Load } from './load.js'

await t.test('the only hub can be replaced under load', async (t) => {
  const { spec } = findResource('StatefulSet', 'fanfare', 'single/') as Workload
  const [container] = spec.template.spec.containers
  const settings = {
    ...imageEnvironment(),
    ...environmentOf(container, { 'jwt-secret': SECRET }),
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    FANFARE_LOG: `file:${t.testdir({})}/data`, // of the volume
    FANFARE_RETAIN_EVENTS: '100000',
  }
  const hub = await startHub(t, settings)
  const load = await Load.start(t, hub)
  await load.publishMore()
  t.equal(await hub.stop(), 0, 'the hub ends gracefully')
  t.match(
    hub.logs().find(({ msg }) => msg === 'stopping'),
    { signal: 'SIGTERM', streams: Number },
    'and had streams',
  )
  await startHub(t, settings)
  await load.areConnected()
  await load.publishMore()
  await load.end(t)
})
