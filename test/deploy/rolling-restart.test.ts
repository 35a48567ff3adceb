/** The cluster as it is deployed, whose processes are replaced one after another. */
import t from 'tap'
import { post } from '../helper/http.js'
import { skipNats } from '../helper/nats.js'
import { skipNginx } from '../helper/nginx.js'
import { openLive, openStream, streamUrl, type EventStream } from '../helper/stream.js'
import { anyTopic } from '../helper/token.js'
import { startDeployedCluster } from './cluster.js'
import { Load } from './load.js'

const bearer = anyTopic()
const HEARTBEAT = 500
/** The limit of streams per address. Each hub counts for itself. */
const PER_ADDRESS = 8

await t.test('the cluster as it is deployed', { skip: skipNats || skipNginx }, async (t) => {
  const cluster = await startDeployedCluster(t, {
    FANFARE_HEARTBEAT: `${HEARTBEAT}ms`,
    FANFARE_RETAIN_EVENTS: '100000',
    FANFARE_MAX_CONNECTIONS_PER_ADDRESS: String(PER_ADDRESS),
  })
  const { nginx } = cluster

  await t.test('a stream through nginx is not buffered', async (t) => {
    const stream = await openLive(t, streamUrl(nginx, ['quiet']), { token: bearer }) // the block has arrived
    await stream.until(() => stream.heartbeats >= 2)
    t.equal((await post(`${nginx.url}/topics/quiet/events`, { text: 'one' }, bearer)).status, 201)
    await stream.count(1)
    t.equal(stream.isClosed, false)
    stream.destroy()
  })

  await t.test('every hub and a NATS server can be replaced under load', async (t) => {
    const load = await Load.start(t, nginx)
    for (const n of cluster.hubs.keys()) {
      await load.publishMore()
      const { code, streams } = await cluster.restartHub(n)
      t.equal(code, 0, 'the hub ends gracefully')
      t.ok(Number(streams) > 0, 'and had streams')
      await load.areConnected()
    }
    await load.publishMore()
    await cluster.restartServer(0)
    await load.publishMore()
    await load.end(t)
  })

  await t.test('the hubs count streams by the address of the client', async (t) => {
    const open = async (address: string, n: number) => {
      const headers = { 'x-forwarded-for': `192.0.2.${n}` }
      const options = { token: bearer, headers, localAddress: address }
      return openStream(t, streamUrl(nginx, ['many']), options)
    }
    const reason = async (stream: EventStream) => {
      const first = await stream.next()
      return first.type === 'fanfare.close' ? (JSON.parse(first.data) as { reason: string }).reason : first.type
    }
    const limit = cluster.hubs.length * PER_ADDRESS
    let count = 0
    while (count <= limit && (await reason(await open('127.0.0.8', count))) === 'fanfare.open') count++
    t.ok(count >= PER_ADDRESS && count <= limit, `${count} streams, whatever the client says of itself`)
    t.equal(await reason(await open('127.0.0.9', 0)), 'fanfare.open')
  })
})
