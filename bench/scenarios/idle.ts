/** Ten thousand subscribers without events: the memory of one subscriber. */
import { setTimeout as sleep } from 'node:timers/promises'
import { faultsOf, receive, sum } from '../measure.js'
import { residentKiB } from '../procfs.js'
import { EVERYBODY, Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const CLIENTS = 10_000
const MAX_KIB = 10
/** How long the hub settles before its memory is measured, in milliseconds. */
const SETTLE = 2_000

export const idle: Scenario = {
  name: 'idle',
  openFiles: () => CLIENTS,
  workers: 'allowed',
  run: (options) =>
    Stage.withHub(options, { FANFARE_MAX_CONNECTIONS: String(CLIENTS) }, async (stage) => {
      await sleep(SETTLE)
      const before = sum(stage.pids, residentKiB)
      await stage.subscribe({ count: CLIENTS })
      await sleep(SETTLE)
      const after = sum(stage.pids, residentKiB)
      const each = (after - before) / CLIENTS
      return [
        {
          scenario: 'idle',
          figure: `${each.toFixed(1)} KiB a subscriber of ${CLIENTS.toLocaleString('en')}`,
          target: `<= ${MAX_KIB} KiB`,
          reached: Number.isNaN(each) ? undefined : each <= MAX_KIB,
          memory: after / 1024,
          faults: faultsOf(await receive(stage, EVERYBODY, 0), 0),
        },
      ]
    }),
}
