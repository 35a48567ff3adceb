import fc from 'fast-check'
import t from 'tap'
import { monotonicNow } from '../../src/model/clock.js'
import { Presence, type PresenceChange } from '../../src/hub/presence.js'
import { Selection } from '../../src/model/selection.js'
import { anybody } from './anybody.js'

const room = new Selection(['room'])

function open(grace: number): { presence: Presence; told: string[]; changes: PresenceChange[] } {
  const told: string[] = []
  const changes: PresenceChange[] = []
  const presence = new Presence(grace, (type, change) => {
    changes.push(change)
    told.push(`${type.slice('fanfare.'.length)} ${change.topic} ${change.subject} ${change.subjects}`)
  })
  return { presence, told, changes }
}

function bearer(subject: string, info?: unknown) {
  return { ...anybody, subject, info }
}

await t.test('a subject joins once, for any number of streams', (t) => {
  const { presence, told, changes } = open(0)
  presence.moved(bearer('u1', { name: 'Ann' }), undefined, room)
  presence.moved(bearer('u1'), undefined, room)
  presence.moved(bearer('u2'), undefined, room)
  t.strictSame(told, ['join room u1 1', 'join room u2 2'])
  t.match(presence.on('room'), [
    { subject: 'u1', connections: 2 },
    { subject: 'u2', connections: 1 },
  ])
  presence.moved(bearer('u1'), room, undefined)
  t.equal(told.length, 2)
  presence.moved(bearer('u1'), room, undefined)
  presence.moved(bearer('u2'), room, undefined)
  t.strictSame(told.slice(2), ['leave room u1 1', 'leave room u2 0'])
  t.strictSame(presence.on('room'), [])
  t.strictSame([changes[0]!.info, changes[1]!.info], [{ name: 'Ann' }, null], 'the info of the token, or null')
  t.end()
})

await t.test('a reconnect within the grace is not a leave', (t) => {
  const { presence, told } = open(5_000)
  presence.moved(bearer('u1'), undefined, room)
  presence.moved(bearer('u1'), room, undefined)
  t.match(presence.on('room'), [{ subject: 'u1', connections: 0 }], 'the subject is still present')
  presence.tick(monotonicNow() + 4_000)
  presence.moved(bearer('u1'), undefined, room)
  presence.tick(monotonicNow() + 60_000)
  t.strictSame(told, ['join room u1 1'])
  presence.moved(bearer('u1'), room, undefined)
  presence.tick(monotonicNow() + 4_000)
  t.equal(told.length, 1, 'the grace starts again')
  presence.tick(monotonicNow() + 5_001)
  t.strictSame(told, ['join room u1 1', 'leave room u1 0'])
  t.end()
})

await t.test('streams without a subject, of patterns or of system topics are not present', (t) => {
  const { presence, told } = open(0)
  presence.moved(bearer('u1'), undefined, new Selection(['room.*', '**', 'fanfare.stats']))
  presence.moved(anybody, undefined, room)
  t.strictSame(told, [])
  t.end()
})

await t.test('a move of a stream is a leave and a join', (t) => {
  const { presence, told } = open(0)
  const both = new Selection(['a', 'b'])
  const other = new Selection(['b', 'c'])
  presence.moved(bearer('u1'), undefined, both)
  presence.moved(bearer('u1'), both, other)
  t.strictSame(told, ['join a u1 1', 'join b u1 1', 'join c u1 1', 'leave a u1 0'])
  t.end()
})

await t.test('presence is exact for any joins, reconnects and leaves', (t) => {
  const subjects = fc.nat(5)
  const topics = fc.subarray(['a', 'b', 'c'], { minLength: 1 })
  const step = fc.oneof(
    fc.record({ open: subjects, topics }),
    fc.record({ close: fc.nat(50) }),
    fc.record({ change: fc.nat(50), topics }),
    fc.record({ wait: fc.integer({ min: 1, max: 2_000 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 1_000), (steps, grace) => {
      const clock = performance.now.bind(performance)
      let now = 1_000_000
      performance.now = () => now
      try {
        const here = new Set<string>() // by the events
        const presence = new Presence(grace, (type, { topic, subject, subjects: count }) => {
          const key = `${topic}/${subject}`
          if (here.has(key) === (type === 'fanfare.join')) throw new Error(`${type} of ${key} twice`)
          if (type === 'fanfare.join') here.add(key)
          else here.delete(key)
          const there = [...here].filter((one) => one.startsWith(`${topic}/`)).length
          if (there !== count) throw new Error(`${there} subjects are present, the change says ${count}`)
        })
        const streams: { subject: string; selection: Selection }[] = []
        const seen = new Map<string, number>() // the time when a subject last had a stream of a topic
        const look = () => {
          for (const { subject, selection } of streams)
            for (const topic of selection.topics) seen.set(`${topic}/${subject}`, now)
        }
        for (const one of steps) {
          look()
          if ('open' in one) {
            const stream = { subject: `u${one.open}`, selection: new Selection(one.topics) }
            streams.push(stream)
            presence.moved(bearer(stream.subject), undefined, stream.selection)
          } else if ('wait' in one) {
            now += one.wait
            look()
            presence.tick(now)
          } else {
            const index = ('close' in one ? one.close : one.change) % (streams.length || 1)
            const stream = streams[index]
            if (!stream) continue
            const before = stream.selection
            if ('close' in one) streams.splice(index, 1)
            else stream.selection = new Selection(one.topics)
            presence.moved(bearer(stream.subject), before, 'close' in one ? undefined : stream.selection)
          }
          look()
          const expected = [...seen].filter(
            ([key, time]) =>
              now - time < grace ||
              streams.some(({ subject, selection }) => selection.topics.some((topic) => `${topic}/${subject}` === key)),
          )
          const due = grace === 0 || 'wait' in one
          if (due && JSON.stringify([...here].sort()) !== JSON.stringify(expected.map(([key]) => key).sort())) {
            throw new Error(`told: ${[...here].join(' ')}; there: ${expected.map(([key]) => key).join(' ')}`)
          }
        }
      } finally {
        performance.now = clock
      }
    }),
    { numRuns: 300 },
  )
  t.end()
})

await t.test('a renewed token changes the info of its subject', (t) => {
  const { presence, told } = open(0)
  presence.moved(bearer('u1', 'at work'), undefined, room)
  presence.renewed(bearer('u1', 'away'), room)
  presence.renewed(bearer('u2', 'nobody'), room)
  t.match(presence.on('room'), [{ subject: 'u1', info: 'away' }])
  t.equal(told.length, 1)
  t.end()
})
