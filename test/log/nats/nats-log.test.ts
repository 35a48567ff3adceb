import t from 'tap'
import type { Retention } from '../../../src/log/log.js'
import { NatsLog } from '../../../src/log/nats/nats-log.js'
import type { NatsOptions } from '../../../src/nats/nats-options.js'
import { testLog } from '../../contract/log.js'
import { skipNats, startNats } from '../../helper/nats.js'

await t.test('on a NATS server', { skip: skipNats }, async (t) => {
  const server = await startNats(t)
  const prefixes = new WeakMap<object, NatsOptions>()

  async function open(retention: Retention, now: () => number, nats: NatsOptions): Promise<NatsLog> {
    const log = await NatsLog.open({ nats, replicas: 1, retention, now })
    prefixes.set(log, nats)
    return log
  }

  await testLog(
    t,
    'the log on NATS',
    (retention, now) => open(retention, now, server.options()),
    async (log, retention, now) => {
      await log.close()
      return open(retention, now, prefixes.get(log)!)
    },
    {
      clock: 'JetStream stamps and trims messages by the clock of its server',
      ids: 'JetStream remembers message ids for its window only',
    },
  )
})
