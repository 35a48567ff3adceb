/** The properties of topics. */
import { equal, has, same } from './assertions.js'
import { event, manyEvents } from './events.js'
import { retains } from './reads.js'
import type { Case } from './trial.js'

const PROPERTIES = { retention: { events: 10, age: 60_000 }, contentType: 'image/png', ended: true, ttl: 5_000 }

export const topicProperties: readonly Case[] = [
  {
    name: 'are the latest stored ones of the topic',
    async check(trial) {
      const { log } = await trial.start()
      await log.setTopic('a', { ttl: 1 })
      await log.setTopic('a', PROPERTIES)
      await log.setTopic('a.b', { ended: true })
      const none = { events: 0, bytes: 0, first: 0, last: 0 }
      same(await log.topic('a'), { topic: 'a', ...none, properties: PROPERTIES })
      same(await log.topic('a.b'), { topic: 'a.b', ...none, properties: { ended: true } })
      equal(await log.topic('b'), undefined)
      same(await log.topics({ limit: 9 }), { topics: [], more: false }, 'a topic without events is not listed')
      has(log.view.stats(), { topics: 0, events: 0 })
      await log.append([event('a')])
      has(await log.topic('a'), { events: 1, first: 1, last: 1, properties: PROPERTIES })
    },
  },

  {
    name: 'can be removed',
    async check(trial) {
      const { log } = await trial.start()
      await log.append([event('b')])
      await Promise.all([log.setTopic('a', PROPERTIES), log.setTopic('b', PROPERTIES)])
      await Promise.all([log.setTopic('a', undefined), log.setTopic('b', undefined)])
      await log.setTopic('never', undefined)
      equal(await log.topic('a'), undefined)
      has(await log.topic('b'), { events: 1 })
      equal('properties' in (await log.topic('b'))!, false)
    },
  },

  {
    name: 'outlast the events',
    async check(trial) {
      const { log } = await trial.start({ events: 2 })
      await log.setTopic('a', PROPERTIES)
      await log.append(manyEvents(9, 'a'))
      await retains(log, 2)
      has(await log.topic('a'), { events: 2, properties: PROPERTIES })
      equal(await log.purge('a'), 2)
      has(await log.topic('a'), { events: 0, first: 0, last: 0, properties: PROPERTIES })
    },
  },

  {
    name: 'are copies',
    async check(trial) {
      const { log } = await trial.start()
      const properties = { retention: { events: 1 } }
      await log.setTopic('a', properties)
      properties.retention.events = 2
      const read = (await log.topic('a'))!.properties!
      same(read, { retention: { events: 1 } })
      read.retention!.events = 3
      same((await log.topic('a'))!.properties, { retention: { events: 1 } })
    },
  },
]
