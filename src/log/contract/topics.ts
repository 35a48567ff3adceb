/** The list of topics. */
import { equal, has, ok, same } from './assertions.js'
import { event } from './events.js'
import { retains } from './reads.js'
import type { Case } from './trial.js'

export const topics: readonly Case[] = [
  {
    name: 'have statistics',
    async check(trial) {
      const { log } = await trial.start({ events: 3 })
      equal(await log.topic('a'), undefined)
      await log.append([event('a'), event('b', { payload: 'x'.repeat(5_000) }), event('a'), event('a')])
      has(await log.topic('a'), { topic: 'a', events: 3, first: 1, last: 4 })
      has(await log.topic('b'), { topic: 'b', events: 1, first: 2, last: 2 })
      const { bytes } = (await log.topic('b'))!
      ok(bytes > 5_000, `an event of 5,000 bytes takes only ${bytes}`)
      equal((await log.topic('a'))!.bytes + bytes, log.view.stats().bytes)
      await log.append([event('a'), event('a')])
      await retains(log, 4)
      has(await log.topic('a'), { events: 3, first: 4, last: 6 }, 'trimmed events do not count')
      equal(await log.topic('nobody'), undefined)
      for (const name of ['__proto__', 'constructor', 'hasOwnProperty']) equal(await log.topic(name), undefined)
    },
  },

  {
    name: 'are listed in pages, sorted by name',
    async check(trial) {
      const { log } = await trial.start()
      const names = ['a', 'b.1', 'B', 'b', '__proto__', 'b.2', 'constructor', '0', 'b-1', '~', 'b.1.x']
      await log.append(names.map((name) => event(name)))
      const sorted = [...names].sort()
      const list = async (prefix?: string, after?: string, limit = 100) => {
        const { topics, more } = await log.topics({ prefix, after, limit })
        for (const topic of topics) same(topic, await log.topic(topic.topic))
        return { names: topics.map(({ topic }) => topic), more }
      }
      same(await list(), { names: sorted, more: false })
      same(await list('b'), { names: ['b', 'b-1', 'b.1', 'b.1.x', 'b.2'], more: false })
      same(await list('b.1'), { names: ['b.1', 'b.1.x'], more: false })
      same(await list('b', 'b.1'), { names: ['b.1.x', 'b.2'], more: false })
      same(await list('b', 'a', 2), { names: ['b', 'b-1'], more: true })
      same(await list('b', 'c'), { names: [], more: false })
      same(await list('zwölf'), { names: [], more: false })
      for (let limit = 1; limit <= names.length + 1; limit++) {
        const read: string[] = []
        for (let page = await list('', undefined, limit); ; page = await list('', read.at(-1), limit)) {
          read.push(...page.names)
          equal(page.more, read.length < names.length)
          if (!page.more) break
        }
        same(read, sorted)
      }
    },
  },

  {
    name: 'are left out if they are not accepted, and then do not count as more',
    async check(trial) {
      const { log } = await trial.start()
      await log.append(['a', 'b', 'c', 'd', 'e'].map((name) => event(name)))
      const list = async (accepted: string, limit: number, after?: string) => {
        const { topics, more } = await log.topics({ limit, after }, (name) => accepted.includes(name))
        return [topics.map(({ topic }) => topic).join(''), more]
      }
      same(await list('bd', 1), ['b', true])
      same(await list('bd', 1, 'b'), ['d', false], 'later topics exist, but none that is accepted')
      same(await list('', 9), ['', false])
    },
  },

  {
    name: 'are listed if there are thousands',
    async check(trial) {
      const { log } = await trial.start()
      const names = Array.from({ length: 12_000 }, (_, n) => `t.${String(n).padStart(5, '0')}`)
      await log.append(names.map((name) => event(name)))
      const { topics, more } = await log.topics({ limit: 2, after: 't.00003' }, (name) => name.endsWith('999'))
      same([topics.map(({ topic }) => topic), more], [['t.00999', 't.01999'], true])
      const last = await log.topics({ limit: 2 }, (name) => name === 't.11999')
      same([last.topics.map(({ topic }) => topic), last.more], [['t.11999'], false])
    },
  },
]
