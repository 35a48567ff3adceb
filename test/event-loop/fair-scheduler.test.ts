import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import t from 'tap'
import { FairScheduler } from '../../src/event-loop/fair-scheduler.js'

/** Blocks the event loop for a time in milliseconds. */
function work(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end;);
}

/** Counts the turns of the event loop. */
function watchLoop(): { turns: number; stop: () => void } {
  const watch = { turns: 0, stop: () => clearImmediate(immediate) }
  let immediate = setImmediate(function turn() {
    watch.turns++
    immediate = setImmediate(turn)
  })
  return watch
}

/** Whether a step may run without waiting for a turn of the event loop. */
async function isAtOnce(scheduler: FairScheduler): Promise<boolean> {
  const loop = watchLoop()
  await scheduler.next()
  loop.stop()
  return loop.turns === 0
}

await t.test('a short task does not wait', async (t) => {
  t.equal(await isAtOnce(new FairScheduler()), true)
})

await t.test('tasks that start at the same time share one slice', async (t) => {
  const scheduler = new FairScheduler()
  const loop = watchLoop()
  const steps = Array.from({ length: 50 }, async () => {
    await scheduler.next()
    work(1)
  })
  await Promise.all(steps)
  loop.stop()
  t.ok(loop.turns >= 10, `${loop.turns} turns of the event loop within 50 ms of work`)
})

await t.test('all tasks together get one slice per turn of the event loop', async (t) => {
  const scheduler = new FairScheduler()
  const loop = watchLoop()
  const steps = 5
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      for (let step = 0; step < steps; step++) {
        await scheduler.next()
        work(1)
      }
    }),
  )
  loop.stop()
  t.ok(loop.turns >= 50, `${loop.turns} turns of the event loop within 250 ms of work`)
})

await t.test('tasks run in the order of their calls', async (t) => {
  const scheduler = new FairScheduler()
  work(5)
  void scheduler.next()
  work(5) // the slice is over
  const order: number[] = []
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      for (let step = 0; step < 3; step++) {
        await scheduler.next()
        order.push(n)
        work(0.5)
      }
    }),
  )
  t.strictSame(
    order.slice(0, 20),
    Array.from({ length: 20 }, (_, n) => n),
  )
  t.strictSame(
    order.slice(40),
    Array.from({ length: 20 }, (_, n) => n),
  )
})

await t.test('tasks continue after an idle phase', async (t) => {
  const scheduler = new FairScheduler()
  for (let round = 0; round < 3; round++) {
    void scheduler.next()
    work(5)
    await scheduler.next()
    await turnOfTheLoop()
    await turnOfTheLoop()
    t.equal(await isAtOnce(scheduler), true)
    await turnOfTheLoop()
    await turnOfTheLoop()
  }
})
