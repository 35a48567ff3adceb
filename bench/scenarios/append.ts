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
      const { address, natsPid } = storage
      const { durability, quick } = options
      await load.tell('openLog', { address, durability, inFlight: IN_FLIGHT, topics: 100, payload: 100 })
      await load.tell('append', { events: quick ? 5_000 : 20_000 })
      const nats = () => (natsPid === undefined ? undefined : cpuSeconds(natsPid))
      const before = { load: cpuSeconds(load.pid), nats: nats() }
      const events = quick ? 20_000 : 100_000
      const { seconds, latency } = await load.tell('append', { events })
      const natsSeconds = nats()
      const onNats = isOnNats(options)
      return [
        {
          scenario: 'append',
          figure: `${Math.round(events / seconds).toLocaleString('en')} appends/s, ${IN_FLIGHT} in flight`,
          target: onNats ? `>= ${MIN_ON_NATS.toLocaleString('en')}/s` : '',
          reached: onNats ? events / seconds >= MIN_ON_NATS : undefined,
          publishesPerSecond: events / seconds,
          latency,
          loadShare: (cpuSeconds(load.pid) - before.load) / seconds,
          ...(natsSeconds !== undefined && { natsShare: (natsSeconds - before.nats!) / seconds }),
          faults: [],
        },
      ]
    } finally {
      load.stop()
      await storage.close()
    }
  },
}
