/** Long work. */
import { Selection } from '../../model/selection.js'
import { ok } from './assertions.js'
import { burn, event } from './events.js'
import { locateNewest, readFrom } from './reads.js'
import type { Case } from './trial.js'

export const eventLoop: readonly Case[] = [
  {
    name: 'long work lets the event loop run',
    async check(trial) {
      const TOPICS = 2_000
      const { log } = await trial.start()
      for (let n = 0; n < 20; n++)
        await log.append(Array.from({ length: TOPICS }, (_, m) => event(`t.${m}.${n % 2}`, { type: 'other' })))
      /** A selection whose checks are slow now and then, so that the work takes several slices on any machine. */
      class Slow extends Selection {
        #asked = 0

        override hasType(type: string | undefined): boolean {
          if (++this.#asked % TOPICS === 0) burn()
          return super.hasType(type)
        }
      }
      const rare = new Slow(['t.**'], ['rare'])
      for (const [name, work] of [
        ['locate', () => locateNewest(log, rare, 1)],
        ['scan', () => readFrom(log, rare, { after: 0, events: 1 })],
        ['newest', () => log.newest(rare, { after: 0, events: 1 })],
        ['topics', () => log.topics({ limit: 1 }, (name) => name === 'nobody' || (name.endsWith('00.0') && burn()))],
      ] as const) {
        let turns = 0
        let immediate = setImmediate(function turn() {
          turns++
          immediate = setImmediate(turn)
        })
        try {
          await work()
        } finally {
          clearImmediate(immediate)
        }
        ok(turns >= 2, `${name}: only ${turns} turns of the event loop have passed`)
      }
    },
  },
]
