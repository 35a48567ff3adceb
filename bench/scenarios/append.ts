/** Appends to the log without a hub: how many events the log takes, each as an append of its own. */
import { LoadProcess } from '../load/load-process.js'
import { isOnNats } from '../options.js'
import { cpuSeconds } from '../procfs.js'
import { openStorage } from '../storage.js'
import type { Scenario } from './scenario.js'

const IN_FLIGHT = 64
const MIN_ON_NATS = 20_000

export const append: Scenario = {
  name: 'append',
  openFiles: () => 0,
  async run(options) {
    const storage = await openStorage(options)
    const load = LoadProcess.start('any')
    try {
      const nats = () => (storage.natsPid === undefined ? NaN : cpuSeconds(storage.natsPid))
      const before = { at: performance.now(), load: cpuSeconds(load.pid), nats: nats() }
      const { seconds, latency } = await load.tell('append', {
        address: storage.address,
        durability: options.durability,
        events: options.quick ? 20_000 : 100_000,
        warmUp: options.quick ? 5_000 : 20_000,
        inFlight: IN_FLIGHT,
        topics: 100,
        payload: 100,
      })
      const elapsed = (performance.now() - before.at) / 1e3
      const rate = (options.quick ? 20_000 : 100_000) / seconds
      const onNats = isOnNats(options)
      return [
        {
          scenario: 'append',
          figure: `${Math.round(rate).toLocaleString('en')} appends/s, ${IN_FLIGHT} in flight`,
          target: onNats ? `>= ${MIN_ON_NATS.toLocaleString('en')}/s` : '',
          reached: onNats ? rate >= MIN_ON_NATS : undefined,
          publishesPerSecond: rate,
          latency,
          loadShare: (cpuSeconds(load.pid) - before.load) / elapsed,
          ...(storage.natsPid !== undefined && { natsShare: (nats() - before.nats) / elapsed }),
          faults: [],
        },
      ]
    } finally {
      load.stop()
      await storage.close()
    }
  },
}
