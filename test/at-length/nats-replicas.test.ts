/** A stream of three replicas whose servers are killed one after the other. */
import t from 'tap'
import type { Retention } from '../../src/log/log.js'
import { NatsLog } from '../../src/log/nats/nats-log.js'
import type { HubError } from '../../src/model/hub-error.js'
import { Selection } from '../../src/model/selection.js'
import { event } from '../../src/log/contract/events.js'
import { poll } from '../helper/deadline.js'
import { readFrom } from '../helper/log.js'
import { administer, skipNats, startNatsCluster, type NatsServer } from '../helper/nats.js'

const RETENTION: Retention = { events: 100_000, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }

/** The servers of a stream. */
interface StreamState {
  cluster: { leader?: string; replicas: { current: boolean }[] }
}

await t.test(
  'no acknowledged event is lost while any one of three servers is killed',
  { skip: skipNats },
  async (t) => {
    const servers = await startNatsCluster(t, 3)
    const nats = servers[0]!.options({ timeout: 20_000, servers: servers.map(({ port }) => `127.0.0.1:${port}`) })
    const open = async () => {
      const log = await NatsLog.open({ nats, replicas: 3, retention: RETENTION })
      t.teardown(() => log.close())
      return log
    }
    const [publisher, other] = [await open(), await open()]
    const { epoch } = publisher.view
    const told: [number, string][] = []
    await other.follow(({ events }) => void told.push(...events.map((e): [number, string] => [e.sequence, e.payload])))
    const acknowledged = new Map<number, string>()
    const reads: boolean[] = []
    let failed = 0
    let isOver = false
    const publish = async (name: string): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        const payloads = Array.from({ length: n % 3 === 0 ? 3 : 1 }, (_, part) => `${name}-${n}.${part}`)
        try {
          const appended = await publisher.append(payloads.map((payload) => event('a', { payload, id: payload })))
          for (const [part, { sequence }] of appended.entries()) acknowledged.set(sequence, payloads[part]!)
          const read = await readFrom(publisher, new Selection(['a']), { after: appended[0]!.sequence - 1, events: 1 })
          reads.push(read.events[0]?.payload === payloads[0] && !read.gap)
        } catch (err) {
          t.equal((err as HubError).code, 'log-unavailable')
          failed++
        }
      }
    }
    const publishing = ['x', 'y', 'z'].map(publish)
    const more = async (): Promise<void> => {
      const before = acknowledged.size
      await poll(
        async () => (acknowledged.size > before + 50 ? true : undefined),
        () => 'nothing is published',
        60_000,
      )
    }
    /** Waits until all servers have every event. */
    const caughtUp = (server: NatsServer) =>
      poll(
        async () => {
          const { cluster } = await administer<StreamState>(server, `STREAM.INFO.${nats.prefix}`)
          return cluster.leader && cluster.replicas.every(({ current }) => current) ? true : undefined
        },
        () => 'a server does not catch up',
        60_000,
      )
    for (const server of servers) {
      await more()
      await server.kill()
      await more()
      await server.start()
      await caughtUp(server)
    }
    await more()
    isOver = true
    await Promise.all(publishing)
    const last = Math.max(...acknowledged.keys())
    await poll(
      async () => ((told.at(-1)?.[0] ?? 0) >= last ? true : undefined),
      () => 'the other process lags',
    )
    const delivered = new Map(told)
    t.equal(delivered.size, told.length, 'each is delivered once')
    t.strictSame(
      [...acknowledged].filter(([sequence, payload]) => delivered.get(sequence) !== payload),
      [],
      'every acknowledged event is delivered',
    )
    t.equal(new Set(delivered.values()).size, delivered.size, 'no event is stored twice')
    t.ok(
      reads.every((isRight) => isRight),
      'every acknowledged event can be read at once',
    )
    t.equal(publisher.view.epoch, epoch)
    t.equal(other.view.epoch, epoch)
    t.comment(`${acknowledged.size} events were acknowledged, ${failed} appends failed`)
  },
)
