/** A log with a fault fails the case of the promise that it breaks, with an error that says what is wrong. */
import t from 'tap'
import { logContract } from '../../../src/log/contract/log-contract.js'
import type { LogUnderTest, OpenLog } from '../../../src/log/contract/trial.js'
import type { Appended, ApplyDelta, EventLog, Page, ReadOptions, ScanResult, Span } from '../../../src/log/log.js'
import { MemoryLog } from '../../../src/log/memory/memory-log.js'
import type { NewEvent, StoredEvent } from '../../../src/model/event.js'
import { Selection } from '../../../src/model/selection.js'

/** A fault, the promise that it breaks, and what the error says. */
interface Fault {
  name: string
  promise: string
  error: RegExp
  log: Partial<LogUnderTest>
}

/** Opens a log whose class has a fault. */
function broken(Log: new (...args: ConstructorParameters<typeof MemoryLog>) => EventLog): Partial<LogUnderTest> {
  return { open: async (retention, clock, elapsed) => new Log(retention, clock, elapsed) }
}

const open: OpenLog = async (retention, clock, elapsed) => new MemoryLog(retention, clock, elapsed)

const FAULTS: Fault[] = [
  {
    name: 'repeats an event',
    promise: 'followers get every event, in order, exactly once, before append resolves',
    error: /a follower gets every event once, in order[^]*\+ {3}1,/,
    log: broken(
      class extends MemoryLog {
        override follow(apply: ApplyDelta) {
          return super.follow((delta) => apply({ ...delta, events: [...delta.events, delta.events.at(-1)!] }))
        }
      },
    ),
  },
  {
    name: 'loses a delta',
    promise: 'followers get every event, in order, exactly once, before append resolves',
    error: /append resolved before each follower had the event 3/,
    log: broken(
      class extends MemoryLog {
        override follow(apply: ApplyDelta) {
          return super.follow((delta) => {
            if (!delta.events.some(({ sequence }) => sequence === 3)) apply(delta)
          })
        }
      },
    ),
  },
  {
    name: 'delivers after the answer',
    promise: 'followers get every event, in order, exactly once, before append resolves',
    error: /append resolved before each follower had the event 1/,
    log: broken(
      class extends MemoryLog {
        override follow(apply: ApplyDelta) {
          return super.follow((delta) => void setImmediate(() => apply(delta)))
        }
      },
    ),
  },
  {
    name: 'reports no purge',
    promise: 'a view that follows the deltas knows the same gaps as the log',
    error: /trimmedAt[^]*run \d+ of 40 with the seed \d+: \{[^]*changes:/,
    log: broken(
      class extends MemoryLog {
        override follow(apply: ApplyDelta) {
          return super.follow((delta) => apply({ ...delta, trims: delta.trims.map((trim) => ({ ...trim, until: 0 })) }))
        }
      },
    ),
  },
  {
    name: 'stores the events of a batch one by one',
    promise: 'a read sees a batch whole or not at all',
    error: /no read returns a part of a batch[^]*\+ {3}\d/,
    log: broken(
      class extends MemoryLog {
        override async append(events: readonly NewEvent[]): Promise<Appended[]> {
          const appended: Appended[] = []
          for (const event of events) {
            appended.push(...(await super.append([event])))
            await new Promise((resolve) => setImmediate(resolve))
          }
          return appended
        }
      },
    ),
  },
  {
    name: 'stores a part of a refused batch',
    promise: 'the maximum number of topics: take more events, and new topics are refused, all or none',
    error: /2 !== 0|3 !== 0/,
    log: broken(
      class extends MemoryLog {
        override async append(events: readonly NewEvent[]): Promise<Appended[]> {
          return super.append(events).catch(async (err: unknown) => {
            await super.append(events.slice(0, 3))
            throw err
          })
        }
      },
    ),
  },
  {
    name: 'forgets publisher ids',
    promise: 'publisher ids: an id is stored once per topic, and a duplicate gets the sequence of the first event',
    error: /duplicate: true/,
    log: broken(
      class extends MemoryLog {
        override append(events: readonly NewEvent[]): Promise<Appended[]> {
          return super.append(events.map((event) => ({ ...event, id: undefined })))
        }
      },
    ),
  },
  {
    name: 'changes line ends',
    promise: 'a read returns the appended events unchanged',
    error: /payload[^]*run \d+ of 50 with the seed \d+/,
    log: broken(
      class extends MemoryLog {
        override append(events: readonly NewEvent[]): Promise<Appended[]> {
          return super.append(events.map((event) => ({ ...event, payload: event.payload.replaceAll('\r', '\n') })))
        }
      },
    ),
  },
  {
    name: 'does not scan the newest event',
    promise: 'reading: agrees with a simple model, page after page',
    error: /run \d+ of 60 with the seed \d+/,
    log: broken(
      class extends MemoryLog {
        override scan(selection: Selection, span: Span, visit: (event: StoredEvent) => boolean): Promise<ScanResult> {
          return super.scan(selection, span, (event) => event.sequence === this.view.head || visit(event))
        }
      },
    ),
  },
  {
    name: 'tells no gap',
    promise: 'a gap: is reported per topic, up to the newest trimmed event',
    error: /false !== true/,
    log: broken(
      class extends MemoryLog {
        override async scan(...args: Parameters<MemoryLog['scan']>): Promise<ScanResult> {
          return { ...(await super.scan(...args)), trimmedAt: undefined }
        }
      },
    ),
  },
  {
    name: 'tells a gap where nothing was trimmed',
    promise: 'a gap: is never false and never missing',
    error: /gap: true[^]*run \d+ of 80/,
    log: broken(
      class extends MemoryLog {
        override async scan(...args: Parameters<MemoryLog['scan']>): Promise<ScanResult> {
          const scanned = await super.scan(...args)
          return { ...scanned, trimmedAt: this.view.mark > 0 ? scanned.mark : undefined }
        }
      },
    ),
  },
  {
    name: 'finds the newest event of any type',
    promise: 'newest: returns the newest matching event of each topic',
    error: /only events of the type/,
    log: broken(
      class extends MemoryLog {
        override newest({ patterns }: Selection, options: ReadOptions): Promise<Page> {
          return super.newest(new Selection(patterns), options)
        }
      },
    ),
  },
  {
    name: 'purges the topics below a topic too',
    promise: 'a purge: removes the events of a topic, and no others',
    error: /4 !== 3/,
    log: broken(
      class extends MemoryLog {
        override async purge(topic: string): Promise<number> {
          return (await super.purge(topic)) + (await super.purge(`${topic}.b`))
        }
      },
    ),
  },
  {
    name: 'retains more events than it may',
    promise: 'retention: by count: each topic keeps its newest events',
    error: /after 10000 ms the log retains 22 events, not 7/,
    log: { open: (retention, clock, elapsed) => open({ ...retention, events: 1e6 }, clock, elapsed) },
  },
  {
    name: 'keeps records for ever',
    promise: 'a record expires',
    error: /the record is removed at once/,
    log: {
      open: async (...args) => {
        const log = await open(...args)
        const put = log.records.put.bind(log.records)
        log.records.put = (key, value) => put(key, value)
        return log
      },
    },
  },
  {
    name: 'holds the event loop',
    promise: 'long work lets the event loop run',
    error: /locate: only 0 turns of the event loop have passed/,
    log: broken(
      class extends MemoryLog {
        override async locate() {
          return { after: 0, mark: 0 }
        }
      },
    ),
  },
  {
    name: 'is empty when it is opened again',
    promise: 'opened again: the log has its records',
    error: /Expected values to be strictly deep-equal[^]*key: 'a'/,
    log: { reopen: async (_log, ...args) => open(...args) },
  },
]

for (const { name, promise, error, log } of FAULTS) {
  await t.test(`a log that ${name}`, async (t) => {
    const found = logContract({ open, seed: 1, ...log }).find((entry) => entry.name === promise)
    await t.rejects(found!.run(), { message: error })
  })
}

await t.test('each case has a name of its own, and each error in a case is that of the log', async (t) => {
  const refusal = new Error('the log does not open')
  const cases = logContract({ open: () => Promise.reject(refusal), reopen: () => Promise.reject(refusal) })
  t.equal(new Set(cases.map(({ name }) => name)).size, cases.length)
  const errors = await Promise.all(cases.map(({ run }) => run().catch((err: unknown) => err)))
  t.strictSame(
    errors.filter((err) => !String(err).includes(refusal.message)),
    [],
  )
})

await t.test('a case that the log cannot pass is skipped, with the reason', (t) => {
  const skipped = (log: Partial<LogUnderTest>) => logContract({ open, ...log }).filter(({ skip }) => skip !== false)
  t.strictSame(skipped({}), [])
  t.match(skipped({ limits: { ids: 'none' } }), [
    { name: 'publisher ids: an id is remembered as long as its event is retained', skip: 'none' },
  ])
  const clock = skipped({ limits: { clock: 'its own' } })
  t.ok(clock.length > 5 && clock.every(({ skip }) => skip === 'its own'))
  t.end()
})

await t.test('the seed of a run repeats its values', async (t) => {
  const failing = async (seed?: number): Promise<string> => {
    const log = FAULTS.find(({ name }) => name === 'changes line ends')!.log
    const cases = logContract({ open, ...log, ...(seed === undefined ? {} : { seed }) })
    const { run } = cases.find(({ name }) => name === 'a read returns the appended events unchanged')!
    return run().then(
      () => '',
      (err: unknown) => (err as Error).message.replace(/time: .*/g, ''),
    )
  }
  const first = await failing()
  const seed = Number(/with the seed (\d+)/.exec(first)?.[1])
  t.equal(await failing(seed), first)
})
