/** The index of times, compared with the times of many events. */
import t from 'tap'
import { TimeIndex } from '../../src/log/time-index.js'

await t.test('the block of a time begins before the first event of that time, for any number of events', (t) => {
  const count = 5_000_000
  const times = new Float64Array(count + 1)
  const index = new TimeIndex(() => 1, 0)
  for (let sequence = 1; sequence <= count; sequence++) {
    const isSetBack = sequence % 1_000_003 === 0
    const time = isSetBack ? times[sequence - 1]! - 5_000 : times[sequence - 1]! + (sequence % 3 === 0 ? 1 : 0)
    times[sequence] = time
    index.note(sequence, time)
  }
  for (let time = -1; time < times[count]! + 2; time += 13_337) {
    const { after, until } = index.find(time)
    const first = times.findIndex((at, sequence) => sequence > 0 && at >= time)
    t.ok(after < first, `${time}: ${first} lies after ${after}`)
    t.ok(until - after <= 1_024, `a block of ${until - after}`)
  }
  t.match(index.find(Infinity), { after: count, until: count })
  t.end()
})

await t.test('blocks of trimmed events are dropped, and an earlier time begins at the oldest event', (t) => {
  let oldest = 1
  const index = new TimeIndex(() => oldest, 0)
  for (let sequence = 1; sequence <= 1_000; sequence++) index.note(sequence, sequence)
  t.equal(index.find(500).after, 448)
  oldest = 700
  t.equal(index.find(500).after, 0)
  t.equal(index.find(720).after, 704, 'blocks have 64 sequences')
  index.note(1_001, 2)
  t.equal(index.find(2).after, 0)
  t.match(index.find(1_000), { after: 960, until: 1_000 }, 'the block ends where the clock went back')
  t.end()
})

await t.test('a time that is far ahead counts only while its event is retained', (t) => {
  let oldest = 1
  const index = new TimeIndex(() => oldest, 0)
  index.note(1, 1e9)
  for (let sequence = 2; sequence <= 1_000; sequence++) index.note(sequence, sequence)
  t.equal(index.find(900).after, 0)
  oldest = 200
  t.equal(index.find(900).after, 896)
  t.end()
})

await t.test('times are found once they are filled in', (t) => {
  const index = new TimeIndex(() => 101, 1_000)
  index.note(1_001, 5_000)
  index.note(1_002, 5_001)
  for (let sequence = 101; sequence <= 1_000; sequence++) index.fill(sequence, sequence)
  t.equal(index.find(500).after, 448)
  t.equal(index.find(50).after, 0, 'the times of events that were trimmed earlier are unknown')
  t.match(index.find(5_000), { after: 960, until: 1_024 })
  const setBack = new TimeIndex(() => 101, 1_000)
  setBack.note(1_001, 999)
  for (let sequence = 101; sequence <= 1_000; sequence++) setBack.fill(sequence, sequence)
  t.match(setBack.find(1_000), { after: 960, until: 1_000 }, 'the clock may have gone back between')
  t.end()
})
