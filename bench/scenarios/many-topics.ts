/**
 * A thousand topics with one subscriber each, and publishers that publish as fast as they get answers: the cost of a
 * publish. The same run measures a bare Fastify application with the same requests. With `--publish-rate` it also
 * measures a hub with that limit, which no publisher should reach.
 */
import { fileURLToPath } from 'node:url'
import { measurePublishing, type Measured } from '../measure.js'
import type { Options } from '../options.js'
import { Stage } from '../stage.js'
import type { Scenario } from './scenario.js'

const TOPICS = 1_000
const PUBLISHERS = 8
const BARE_FASTIFY = fileURLToPath(new URL('../bare-fastify.ts', import.meta.url))

export const manyTopics: Scenario = {
  name: 'many-topics',
  openFiles: () => TOPICS,
  workers: 'allowed',
  async run(options) {
    const bare = await Stage.withServer(BARE_FASTIFY, (stage) => measure(stage, options))
    const unlimited = { ...options, publishRate: undefined }
    const hub = await Stage.withHub(unlimited, {}, (stage) => measure(stage, options))
    const target = targetOf(options)
    const figureOf = ({ publishesPerSecond }: Measured) =>
      `${Math.round(publishesPerSecond).toLocaleString('en')} publishes/s, ${(publishesPerSecond / bare.publishesPerSecond).toFixed(2)} of bare Fastify`
    const limited =
      options.publishRate === undefined
        ? undefined
        : await Stage.withHub(options, {}, (stage) => measure(stage, options))
    return [
      {
        scenario: 'many-topics',
        figure: figureOf(hub),
        target: `>= ${target.toLocaleString('en')}/s`,
        reached: hub.publishesPerSecond >= target,
        ...hub,
      },
      ...(limited
        ? [{ scenario: '', figure: figureOf(limited), target: '(with the limit)', reached: undefined, ...limited }]
        : []),
      { scenario: '', figure: '(bare Fastify + 1 write, no token or log)', target: '', reached: undefined, ...bare },
    ]
  },
}

async function measure(stage: Stage, { quick }: Options): Promise<Measured> {
  await stage.subscribe({ count: TOPICS, topics: TOPICS })
  return measurePublishing(stage, {
    publishers: PUBLISHERS,
    topics: TOPICS,
    payload: 100,
    events: quick ? 20_000 : 100_000,
    streamsPerEvent: 1,
    warmUp: 10_000,
  })
}

/** Returns the target in publishes per second, which allows for the time of the disk. */
function targetOf({ log, durability }: Options): number {
  if (log === 'memory') return 15_000
  return durability === 'commit' ? 13_000 : 7_500
}
