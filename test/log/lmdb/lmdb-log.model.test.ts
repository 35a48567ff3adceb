/**
 * Compares the LMDB log with a simple model in memory, through random appends, reads, trims, purges, restarts and
 * kills. The log assigns each sequence once, keeps acknowledged events as long as the retention requires, and reports a
 * gap exactly when events are missing.
 *
 * `MODEL_RUNS` is the number of sequences of steps for each durability.
 */
import { deepStrictEqual as same, ok } from 'node:assert'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { lengthOf, type NewEvent, type StoredEvent } from '../../../src/model/event.js'
import { Selection } from '../../../src/model/selection.js'
import { FileLog } from '../../../src/log/lmdb/lmdb-log.js'
import type { Durability } from '../../../src/log/durability.js'
import { sizeOf } from '../../../src/log/lmdb/rows.js'
import type { Appended, Retention } from '../../../src/log/log.js'
import { killedCopy } from '../../helper/store.js'
import { locateNewest, readFrom } from '../../helper/log.js'

const RUNS = Number(process.env['MODEL_RUNS'] ?? 40)
/**
 * No run begins, and no counterexample shrinks, after this time in milliseconds, unless `MODEL_RUNS` asks for more
 * runs.
 */
const BOUNDED = process.env['MODEL_RUNS'] === undefined ? { interruptAfterTimeLimit: 40_000 } : {}
/** The time limit for all due trims, in milliseconds. */
const DEADLINE = 20_000

const TOPICS = ['a', 'b', 'a.b', 'a.c', 'b.c.d']
const PATTERNS = [...TOPICS, '*', '**', 'a.*', '*.c', 'b.**', 'nobody']
const EVERYTHING = new Selection(['**'])

type Step =
  | { do: 'append'; events: NewEvent[]; wait: boolean }
  | { do: 'read'; selection: Selection; part: number; events: number; bytes: number }
  | { do: 'before'; selection: Selection; count: number }
  | { do: 'newest'; selection: Selection; part: number }
  | { do: 'purge'; topic: string; wait: boolean }
  | { do: 'record'; key: string; value: string | undefined }
  | { do: 'later'; time: number }
  | { do: 'turns'; turns: number }
  | { do: 'settle' }
  | { do: 'kill' }
  | { do: 'reopen' }
  /** Every process of the folder ends and is replaced, the leader first. */
  | { do: 'succeed' }

function anyEvent(ids: boolean): fc.Arbitrary<NewEvent> {
  return fc.record({
    topic: fc.constantFrom(...TOPICS),
    type: fc.constantFrom(undefined, undefined, 'x', 'y'),
    id: ids ? fc.option(fc.constantFrom('1', '2', '3', '4'), { nil: undefined, freq: 2 }) : fc.constant(undefined),
    attributes: fc.option(
      fc.integer({ min: 1, max: 1_000 }).map((length) => JSON.stringify({ a: 'é'.repeat(length) })),
      { nil: undefined, freq: 2 },
    ),
    kind: fc.constantFrom('text' as const, 'json' as const, 'bytes' as const),
    // the same text is valid as text and as base64
    payload: fc.integer({ min: 1, max: 750 }).map((length) => 'pppp'.repeat(length)),
  })
}

function anySelection(): fc.Arbitrary<Selection> {
  return fc
    .tuple(
      fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 3 }),
      fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 2 }),
    )
    .map(([patterns, types]) => new Selection(patterns, types))
}

function anySteps(): fc.Arbitrary<Step[]> {
  const batch = (ids: boolean) => fc.array(anyEvent(ids), { minLength: 1, maxLength: 6 })
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('append' as const), events: batch(true), wait: fc.constant(true) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('append' as const), events: batch(false), wait: fc.constant(false) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('read' as const),
        selection: anySelection(),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        events: fc.constantFrom(1, 3, 1_000),
        bytes: fc.constantFrom(1, 2_000, 1e9),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('before' as const), selection: anySelection(), count: fc.nat(8) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('newest' as const),
        selection: anySelection(),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('purge' as const),
        topic: fc.constantFrom(...TOPICS, 'nobody'),
        wait: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('record' as const),
        key: fc.constantFrom('k/1', 'k/2'),
        value: fc.constantFrom(undefined, 'v', 'w'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('later' as const), time: fc.integer({ min: 1, max: 900 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('turns' as const), turns: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'settle' as const }) },
    { weight: 2, arbitrary: fc.constant({ do: 'kill' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
    { weight: 2, arbitrary: fc.constant({ do: 'succeed' as const }) },
  )
  return fc.array(step, { minLength: 1, maxLength: 60, size: 'max' })
}

function anyRetention(): fc.Arbitrary<Retention> {
  return fc.record({
    events: fc.constantFrom(1, 2, 4, 1e9),
    age: fc.constantFrom(700, 1e12, 1e12),
    bytes: fc.constantFrom(6_000, 1e12, 1e12),
    dedupWindow: fc.constantFrom(0, 1_000, 1e12),
  })
}

class Model {
  readonly #durability: Durability
  readonly #retention: Retention
  #folder: string
  #log!: FileLog
  /** The leader, if the log is a replica. */
  #leader: FileLog | undefined
  readonly #isReplica: boolean
  #epoch = ''
  #stop: () => void = () => undefined
  #now = 1_700_000_000_000
  /** Every event that was stored. The n-th has the sequence n. */
  readonly #all: StoredEvent[] = []
  /** Sequences that a read has found missing. */
  readonly #trimmed = new Set<number>()
  /** Topic and publisher id → the sequences stored under them. */
  readonly #ids = new Map<string, number[]>()
  readonly #records = new Map<string, string>()
  /** Topic → the newest sequence of its purges, including running ones. */
  readonly #purged = new Map<string, number>()
  /** Unanswered appends, in order. They have no publisher ids. */
  #pending: { events: NewEvent[]; done: Promise<void> }[] = []

  /** Unanswered purges. */
  readonly #purges = new Set<Promise<void>>()

  /** @param isReplica whether another log in the same folder writes */
  constructor(folder: string, durability: Durability, retention: Retention, isReplica: boolean) {
    this.#isReplica = isReplica
    this.#folder = folder
    this.#durability = durability
    this.#retention = retention
  }

  async open(): Promise<void> {
    if (this.#isReplica) this.#leader = await this.#openLog()
    await this.#follow(await this.#openLog())
  }

  #openLog(): Promise<FileLog> {
    return FileLog.open({
      folder: this.#folder,
      durability: this.#durability,
      retention: this.#retention,
      shared: this.#isReplica,
      sameProcess: this.#isReplica,
      now: () => this.#now,
    })
  }

  async #follow(log: FileLog): Promise<void> {
    this.#log = log
    const following = await this.#log.follow(({ events }) => {
      for (const event of events) this.#note(event)
    })
    this.#stop = () => following.stop()
    if (this.#epoch === '') this.#epoch = this.#log.view.epoch
    same(this.#log.view.epoch, this.#epoch)
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'append':
        return this.#append(step.events, step.wait)
      case 'read':
        return this.#read(step.selection, Math.round(step.part * this.#log.view.head), step.events, step.bytes)
      case 'before':
        return this.#before(step.selection, step.count)
      case 'newest':
        return this.#newest(step.selection, Math.round(step.part * this.#log.view.head))
      case 'purge':
        return this.#purge(step.topic, step.wait)
      case 'record':
        return this.#record(step.key, step.value)
      case 'turns':
        for (let n = 0; n < step.turns; n++) await turn()
        return
      case 'later':
        await this.#answered() // each event then has a known time
        this.#now += step.time
        return
      case 'settle':
        return this.#settle()
      case 'kill':
        return this.#kill()
      case 'reopen':
        await this.#answered()
        await this.#closeLogs()
        await this.open()
        same(this.#log.view.head, this.#all.length)
        return
      case 'succeed':
        return this.#succeed()
    }
  }

  async close(): Promise<void> {
    await this.#answered()
    await this.#closeLogs()
  }

  async #closeLogs(): Promise<void> {
    await this.#log.close()
    await this.#leader?.close()
  }

  /** The replica becomes the leader while appends are pending, and another replica then replaces it. */
  async #succeed(): Promise<void> {
    if (!this.#leader) return
    await this.#leader.close()
    await this.#answered()
    await this.#read(EVERYTHING, 0, 1e9, 1e9)
    const old = this.#log
    this.#leader = await this.#openLog()
    await this.#settle()
    this.#stop()
    await old.close()
    await this.#follow(await this.#openLog())
    same(this.#log.view.head, this.#all.length)
  }

  #note(event: StoredEvent): void {
    same(event.sequence, this.#all.length + 1) // each sequence is assigned once
    this.#all.push(event)
    if (event.id === undefined) return
    const key = `${event.topic} ${event.id}`
    this.#ids.set(key, [...(this.#ids.get(key) ?? []), event.sequence])
  }

  async #append(events: NewEvent[], wait: boolean): Promise<void> {
    if (wait) {
      await this.#answered()
      const retained = await this.#retained()
      const answers = await this.#log.append(events)
      this.#checkAnswers(events, answers, retained)
      return
    }
    const log = this.#log
    const append = {
      events,
      done: log.append(events).then((answers) => {
        if (log !== this.#log) return // the log was killed before it answered
        this.#pending = this.#pending.filter((other) => other !== append)
        this.#checkAnswers(events, answers, new Set())
      }),
    }
    append.done.catch(() => undefined) // awaited by `answered`
    this.#pending.push(append)
  }

  async #answered(): Promise<void> {
    await Promise.all(this.#purges)
    await Promise.all(this.#pending.map(({ done }) => done))
  }

  /** @param retained the events that were retained before */
  #checkAnswers(events: NewEvent[], answers: Appended[], retained: Set<number>): void {
    same(answers.length, events.length)
    let last: number | undefined
    for (const [index, { sequence, duplicate }] of answers.entries()) {
      const event = events[index]!
      const known = event.id === undefined ? [] : (this.#ids.get(`${event.topic} ${event.id}`) ?? [])
      if (duplicate) {
        same(sequence, known.at(-1), 'a duplicate gets the sequence of the first event with its id')
        const { time } = this.#all[sequence - 1]!
        const isKept =
          sequence > this.#all.length - events.length ||
          retained.has(sequence) ||
          this.#now - time < this.#retention.dedupWindow
        ok(isKept, 'an id is forgotten when its event is trimmed and its window is over')
        continue
      }
      if (last !== undefined) same(sequence, last + 1, 'sequences are consecutive')
      last = sequence
      same(this.#all[sequence - 1], { ...event, sequence, time: this.#now })
      const before = known.filter((other) => other < sequence).at(-1)
      if (before === undefined) continue
      ok(!retained.has(before) || this.#isTrimmable(before), 'an id is remembered while its event is retained')
      ok(
        this.#now - this.#all[before - 1]!.time >= this.#retention.dedupWindow,
        'an id is remembered within its window',
      )
    }
  }

  /** Reads and checks all pages. */
  async #read(selection: Selection, after: number, events: number, bytes: number): Promise<void> {
    const { head } = this.#log.view
    same(head, this.#all.length)
    const pages: { after: number; position: number; gap: boolean }[] = []
    const read = new Set<number>()
    for (let position = after, more = true; more;) {
      const page = await readFrom(this.#log, selection, { after: position, until: head, events, bytes })
      ok(page.position >= position && page.position <= head)
      ok(page.events.length <= events)
      let size = 0
      for (const event of page.events) {
        ok(size < bytes, 'a page ends at its maximum number of bytes')
        size += lengthOf(event)
        ok(event.sequence > position && event.sequence <= page.position, 'in order, up to the position')
        same(event, this.#all[event.sequence - 1])
        ok(!this.#trimmed.has(event.sequence), 'a trimmed event is never returned again')
        ok(selection.hasTopic(event.topic) && selection.hasType(event.type))
        ok(event.sequence > Math.max(0, ...read))
        read.add(event.sequence)
      }
      ok(page.more || page.position === head)
      ok(!page.more || page.position > position)
      pages.push({ after: position, position: page.position, gap: page.gap })
      position = page.position
      more = page.more
    }
    const isMissing = ({ topic, type, sequence }: StoredEvent): boolean =>
      sequence > after &&
      sequence <= head &&
      !read.has(sequence) &&
      selection.hasTopic(topic) &&
      selection.hasType(type)
    const missing = this.#all.filter(isMissing).map(({ sequence }) => sequence)
    for (const sequence of missing) {
      ok(this.#isTrimmable(sequence), `${sequence} is missing, and must be retained`)
      this.#trimmed.add(sequence)
    }
    // the log does not remember the types of trimmed events: a gap may be reported for other types
    if (selection.types) return
    for (const page of pages) {
      // events after the page may have been trimmed after the page was read
      if (missing.some((sequence) => sequence > page.after && sequence <= page.position))
        same({ ...page, missing }, { ...page, missing, gap: true })
      if (!missing.some((sequence) => sequence > page.after))
        same({ ...page, missing }, { ...page, missing, gap: false })
    }
  }

  async #before(selection: Selection, count: number): Promise<void> {
    const [start, { events }] = await Promise.all([
      locateNewest(this.#log, selection, count),
      readFrom(this.#log, selection, { after: 0, events: 1e9 }),
    ])
    const newest = count === 0 ? [] : events.slice(-count)
    same(
      events.filter(({ sequence }) => sequence > start),
      newest,
    )
  }

  async #newest(selection: Selection, after: number): Promise<void> {
    const wanted = { after, until: this.#log.view.head, events: 1e9 } // excludes events that are stored meanwhile
    const [page, { events }] = await Promise.all([
      this.#log.newest(selection, wanted),
      readFrom(this.#log, selection, wanted),
    ])
    const newest = [...new Map(events.map((event) => [event.topic, event])).values()]
    same(
      page.events,
      newest.sort((a, b) => a.sequence - b.sequence),
    )
  }

  async #purge(topic: string, wait: boolean): Promise<void> {
    // the leader performs the appends of a replica first, which the replica does not know of yet
    if (this.#isReplica) await Promise.all(this.#pending.map(({ done }) => done))
    const log = this.#log
    let head: number
    let kept: number
    do {
      head = log.view.head
      kept = (await this.#retained(new Selection([topic]))).size
    } while (log.view.head !== head) // otherwise the purge includes events that were appended meanwhile
    this.#purged.set(topic, head)
    const done = log.purge(topic).then(async (count) => {
      ok(count <= kept, `${count} of ${kept} are purged`)
      if (log !== this.#log) return // the log was killed meanwhile
      const { events } = await readFrom(log, new Selection([topic]), { after: 0, until: head, events: 1e9 })
      same(events, [])
    })
    if (wait) return done
    this.#purges.add(done)
    done.then(
      () => this.#purges.delete(done),
      () => undefined,
    ) // awaited by `answered`
  }

  async #record(key: string, value: string | undefined): Promise<void> {
    await (value === undefined ? this.#log.records.delete(key) : this.#log.records.put(key, value))
    if (value === undefined) this.#records.delete(key)
    else this.#records.set(key, value)
  }

  async #retained(selection = EVERYTHING): Promise<Set<number>> {
    const { events } = await readFrom(this.#log, selection, { after: 0, events: 1e9 })
    return new Set(events.map(({ sequence }) => sequence))
  }

  /** Waits until all due trims are done, and checks the events that are left. */
  async #settle(): Promise<void> {
    await this.#answered()
    const { events, age, bytes } = this.#retention
    const end = performance.now() + DEADLINE
    for (;;) {
      const retained = [...(await this.#retained())].map((sequence) => this.#all[sequence - 1]!)
      const size = retained.reduce((sum, event) => sum + sizeOf(event), 0)
      const counts = new Map<string, number>()
      for (const { topic } of retained) counts.set(topic, (counts.get(topic) ?? 0) + 1)
      const isSettled =
        size <= bytes &&
        retained.every(({ time }) => time >= this.#now - age) &&
        [...counts.values()].every((count) => count <= events)
      const expected = { topics: counts.size, events: retained.length, bytes: size }
      const stats = this.#log.view.stats() // these may be slightly outdated
      if (isSettled && isDeepStrictEqual(stats, expected)) break
      ok(performance.now() < end, `the due trims are done: ${JSON.stringify({ stats, expected })}`)
      await delay(10)
    }
    await this.#read(EVERYTHING, 0, 1e9, 1e9)
    same(this.#log.view.failure, undefined)
  }

  /** Opens the files as a kill at this moment would leave them. */
  async #kill(): Promise<void> {
    const acknowledged = this.#log.view.head
    this.#stop()
    const copy = killedCopy(this.#folder)
    const [old, oldLeader] = [this.#log, this.#leader]
    const pending = this.#pending
    this.#pending = []
    this.#folder = copy
    await this.open()
    await old.close()
    await oldLeader?.close()
    await Promise.allSettled([...this.#purges, ...pending.map(({ done }) => done)])
    ok(this.#log.view.head >= acknowledged, 'every acknowledged event is stored')
    // some of the unanswered appends may be stored: whole, and in order
    for (const { events } of pending) {
      if (this.#all.length === this.#log.view.head) break
      for (const event of events) this.#note({ ...event, sequence: this.#all.length + 1, time: this.#now })
    }
    same(this.#log.view.head, this.#all.length, 'an append is stored whole or not at all')
    same(
      await this.#log.records.list(''),
      [...this.#records].sort().map(([key, value]) => ({ key, value })),
    )
    await this.#read(EVERYTHING, 0, 1e9, 1e9)
  }

  /** Returns whether the retention may have trimmed an event by now. */
  #isTrimmable(sequence: number): boolean {
    const event = this.#all[sequence - 1]!
    const behind = this.#all.slice(sequence)
    const { events, age, bytes } = this.#retention
    if (sequence <= (this.#purged.get(event.topic) ?? 0)) return true
    if (behind.filter(({ topic }) => topic === event.topic).length >= events) return true
    if (event.time < this.#now - age) return true
    return behind.reduce((sum, other) => sum + sizeOf(other), sizeOf(event)) > bytes
  }
}

for (const [durability, isReplica] of [
  ['sync', false],
  ['commit', false],
  ['commit', true],
] as const) {
  const name = isReplica ? 'a replica' : 'the LMDB log'
  await t.test(`${name} behaves like the model, and a kill changes nothing (${durability})`, async (t) => {
    const root = t.testdir({})
    let runs = 0
    let kills = 0
    const play = async (retention: Retention, steps: Step[]) => {
      const model = new Model(`${root}/${durability}-${++runs}`, durability, retention, isReplica)
      await model.open()
      try {
        for (const step of steps) await model.run(step)
      } finally {
        await model.close()
      }
      kills += steps.filter((step) => step.do === 'kill').length
    }
    let last: Promise<void> | undefined
    await t.resolves(
      fc.assert(
        fc.asyncProperty(anyRetention(), anySteps(), (retention, steps) => (last = play(retention, steps))),
        { numRuns: RUNS, ...BOUNDED },
      ),
    )
    await last // at its time limit fast-check abandons a running property, whose folder is about to be removed
    t.comment(`${runs} runs, ${kills} kills`)
  })
}
