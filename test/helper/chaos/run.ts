/**
 * A run of hubs that are killed, frozen and stopped at random under mixed load. At its end every promise of the API is
 * checked for everything that was published and read.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { poll } from '../deadline.js'
import { random, type Random } from '../random.js'
import { token } from '../token.js'
import { Attendance } from './attendance.js'
import { checkDeliveries } from './deliveries.js'
import { Faults, type Group } from './faults.js'
import { Guests } from './guests.js'
import { Load } from './load.js'
import type { HubPlace, Place } from './places.js'
import { AbsentSubscriber, NumberedTopic } from './removals.js'
import type { Span, Story } from './story.js'
import { CursorSubscriber, Mover, Subscriber } from './subscribers.js'
import { readHistory, Truth } from './truth.js'

export interface ChaosOptions {
  hubs: readonly HubPlace[]
  groups: readonly Group[]
  /** The servers through which the hubs learn of changes, if any. */
  servers?: readonly Place[]
  kills: number
  /** The time after which there are no more faults, in milliseconds. */
  maxTime: number
  seed: number
  /** The longest time that a hub may take to answer a publisher, in milliseconds: a setting. */
  patience: number
  /** The number of events of a topic that the hubs retain: a setting. */
  retained: number
  /** What a purge removes, as in `RemovalOptions`. */
  purges: 'all' | 'known'
  /** The promised time until the subjects of a hub that was killed leave, in milliseconds. */
  leaveTime: number
  /** Returns the state of the servers, in lines. Called once a promise is broken. */
  explain?: () => Promise<string[]>
  /** The times between two faults, in milliseconds; default: those of `Faults`. */
  pauses?: readonly number[]
  /** Called when nothing could be published for `STALL`. Returns whether it has removed the cause. */
  relieve?: (faults: Faults) => Promise<boolean>
  /** Makes further faults after each fault. Returns the time in which nothing could be published, if any. */
  between?: (chaos: { faults: Faults; numbers: Random }) => Promise<Span | undefined>
}

const TOPICS = Array.from({ length: 16 }, (_, n) => `load.${n < 8 ? 'a' : 'b'}.${n}`)
const PUBLISHERS = 4
/** Allowance for a busy machine, in milliseconds. */
const SLACK = 5_000
/** The time between two looks at the publishers, in milliseconds. */
const LOOK = 500
/** Something has to be published within this time, in milliseconds. */
const STALL = 30_000
/** A pause of publishing that is explained in the report, and the time before it that is shown too; in milliseconds. */
const LONG_PAUSE = 5_000
const BEFORE = 8_000
/** The number of events that are published after the last fault. */
const CALM = 200
/** With so many kills, the hubs have certainly removed events that a subscriber had not read. */
const MANY = 50
/** The time limit for all subscribers to read the rest after the last fault, in milliseconds. */
const END = 60_000

/** The number of lines of a hub's log that explain a broken promise. */
const LAST_LINES = 20

const anything = token({ subscribe: ['**'], publish: ['**'], admin: true })

/** Makes faults and load, and checks everything. */
export async function runChaos(t: Test, story: Story, options: ChaosOptions): Promise<void> {
  const {
    hubs,
    groups,
    servers = [],
    kills,
    maxTime,
    seed,
    patience,
    retained,
    purges,
    leaveTime,
    between,
    explain,
    relieve,
    pauses: gaps,
  } = options
  const numbers = random(seed)
  const faults = new Faults(groups, numbers, story, gaps)
  const load = new Load({ hubs, topics: TOPICS, token: anything, seed, publishers: PUBLISHERS, patience }, story)
  const trimmed = numbered('trimmed', Math.floor(retained / 4), false)
  const purged = numbered('purged', 5, purges)
  const subscribers = makeSubscribers(t, hubs, seed, story)
  const absent = ['trimmed', 'purged'].flatMap((topic, n) =>
    [0, 1].map((m) => new AbsentSubscriber(t, `absent-${topic}-${m}`, of([topic], 50 + 2 * n + m), story)),
  )
  const attendance = new Attendance(t, hubs, seed + 500, story)
  const guests = new Guests(t, { hubs, topics: [TOPICS[0]!, TOPICS[9]!], seed: seed + 600, servers }, story)
  const parts = [load, trimmed, purged, ...subscribers, ...absent, attendance, guests]
  const outages: Span[] = []

  await Promise.all(hubs.map((hub) => hub.start()))
  for (const part of parts) part.begin()
  let isPublishing = true
  const watch = watchPublishing()
  await faults.run(kills, maxTime, async () => {
    const outage = await between?.({ faults, numbers })
    if (outage) outages.push(outage)
  })
  if (!isWell()) story.explain([...logsOf(hubs), ...((await explain?.()) ?? [])])
  await faults.settled()
  attendance.settle()
  const { acknowledged } = load
  await poll(
    async () => (load.acknowledged >= acknowledged + CALM || !isWell() ? true : undefined),
    () => 'nothing is published once the faults have ended',
  )
  await Promise.all([load.end(), trimmed.end(), purged.end(), guests.end()])
  isPublishing = false
  await watch
  const faulted = story.now()

  const leaves: number[] = []
  if (isWell()) await attendance.agree(leaveTime + SLACK)
  if (isWell()) {
    const lost = numbers.pick(hubs)
    leaves.push(await attendance.loseHub(lost, leaveTime + SLACK))
    await lost.start()
    await attendance.agree(leaveTime + SLACK)
  }

  const checked = isWell() ? await checkAll() : undefined
  await Promise.all([...subscribers, ...absent, attendance].map((part) => part.end()))
  report()

  /** Reports a broken promise when nothing can be published any more, whatever the cause. */
  async function watchPublishing(): Promise<void> {
    for (let from = 0; isPublishing && isWell();) {
      await delay(LOOK)
      if (Math.min(load.silence, story.now() - from) < STALL) continue
      from = story.now()
      if (await relieve?.(faults)) continue
      story.breaks(`nothing could be published for ${Math.round(load.silence)} ms`)
      story.explain([...logsOf(hubs), ...((await explain?.()) ?? [])])
    }
  }

  /** Checks the log, and then what the subscribers have read. */
  async function checkAll() {
    const [first, ...others] = hubs as [HubPlace, ...HubPlace[]]
    const truth = new Truth(await readHistory(first, ['load.**'], anything, story))
    for (const hub of others) truth.compare(hub.name, await readHistory(hub, ['load.**'], anything, story), story)
    truth.checkLoad(load, story)
    for (const hub of hubs) {
      trimmed.check(await readHistory(hub, ['trimmed'], anything, story), retained)
      purged.check(await readHistory(hub, ['purged'], anything, story), retained)
    }
    const end = truth.events.at(-1)?.sequence ?? 0
    const behind = () => [...subscribers, ...absent].filter(({ position }) => position < end)
    await poll(
      async () => (behind().length === 0 ? true : undefined),
      () =>
        `${behind()
          .map(({ name, position }) => `${name} (${position})`)
          .join(', ')} have not read to ${end}`,
      END,
    ).catch((err: unknown) => story.breaks(String(err)))
    const gaps = absent.reduce((sum, subscriber) => sum + subscriber.check(), 0)
    const changes = attendance.check()
    for (const { processes, name } of hubs)
      for (const hub of processes)
        for (const line of hub.logs())
          if (line['damaged'] !== undefined) story.breaks(`${name}: ${JSON.stringify(line)}`)
    return { ...checkDeliveries(subscribers, truth, story), events: truth.events.length, gaps, changes }
  }

  function report(): void {
    const isInOutage = (pause: Span) => outages.some(({ from, until }) => pause.from < until && pause.until > from)
    const longest = (times: number[]) => `${Math.round(Math.max(0, ...times))} ms`
    const pauses = load.pauses.filter((pause) => !isInOutage(pause)).sort((a, b) => story.lightOf(b) - story.lightOf(a))
    t.comment(
      `${faults.kills} kills, ${faults.stops} stops (${hubs.reduce((sum, { forced }) => sum + forced, 0)} forced), ${faults.freezes} freezes, ${outages.length} outages in ${Math.round(faulted / 1_000)} s; ` +
        `${load.acknowledged} events acknowledged, ${load.repeated} requests repeated; ${guests.ended} tokens ended, the slowest within ${longest([guests.longest])}`,
    )
    t.comment(
      `longest pause of publishing: ${longest(pauses.map(({ from, until }) => until - from))}, ` +
        `${longest(pauses.map((pause) => story.lightOf(pause)))} of one while a hub ran; ` +
        `longest outage: ${longest(outages.map(({ from, until }) => until - from))}`,
    )
    if (checked)
      t.comment(
        `checked: ${checked.events} events, ${checked.connections} connections with ${checked.deliveries} deliveries, ${checked.moves} moves, ` +
          `${checked.replayed} replayed, ${checked.gaps} gaps, ${purged.purges} purges, ${checked.changes} joins and leaves; ` +
          `${checked.backwards} named cursors went back; subjects of a killed hub left after ${Math.round(leaves[0] ?? 0)} ms`,
      )
    const [worst] = pauses
    if (worst && story.lightOf(worst) > LONG_PAUSE) for (const line of during(worst, hubs, story)) t.comment(line)
    for (const line of errorsOf(hubs)) t.comment(line)
    if (story.violations.length > 0) for (const line of story.lines()) t.comment(line)
    t.strictSame(story.violations.map(({ text }) => text).slice(0, 5), [], 'every promise is kept')
    if (!checked) return
    t.ok(checked.deliveries > checked.events, 'there were more deliveries than events')
    t.ok(checked.moves > 0 && checked.replayed > 0, 'there were moves and replays')
    if (faults.kills >= MANY) t.ok(checked.gaps > 0, 'there were gaps')
    t.ok(guests.ended > 0 && checked.changes > 0, 'tokens have ended, and subjects came and went')
  }

  function numbered(topic: string, each: number, purges: false | 'all' | 'known'): NumberedTopic {
    return new NumberedTopic({ hubs, topic, token: anything, seed: seed + each, each, purges }, story)
  }

  function of(topics: string[], offset: number) {
    return { hubs, topics, token: anything, seed: seed + 1_000 + offset }
  }

  function isWell(): boolean {
    return story.violations.length === 0
  }
}

/** Returns 20 subscribers, some of each kind. */
function makeSubscribers(t: Test, hubs: readonly HubPlace[], seed: number, story: Story): Subscriber[] {
  const [a, b] = [TOPICS[0]!, TOPICS[9]!]
  const selections = [['load.**'], ['load.**'], ['load.a.*'], [a], [a, b], ['load.*.12', a], ['load.b.*', 'load.a.*']]
  const options = (topics: readonly string[], n: number, subject?: string) => {
    const claims = { subscribe: [...topics, ...TOPICS.slice(3, 8)], ...(subject !== undefined && { sub: subject }) }
    return { hubs, topics, token: token(claims), seed: seed + 1_000 + n }
  }
  return Array.from({ length: 20 }, (_, n) => {
    if (n < 10) return new Subscriber(t, `subscriber-${n}`, options(selections[n % selections.length]!, n), story)
    if (n < 12) return new Subscriber(t, `subscriber-${n}`, { ...options(['load.**'], n), type: 'created' }, story)
    const name = n < 16 ? `mover-${n}` : `cursor-${n}`
    const own = options(n % 2 === 0 ? [a, b] : ['load.b.*'], n, name)
    return n < 16 ? new Mover(t, name, own, TOPICS.slice(3, 8), story) : new CursorSubscriber(t, name, own, story)
  })
}

/** Returns what happened during a time, and what the hubs logged. */
function during({ from, until }: Span, hubs: readonly HubPlace[], story: Story): string[] {
  const notes = story.faults.filter(({ at }) => at > from - BEFORE && at < until)
  for (const { name, processes } of hubs) {
    for (const hub of processes) {
      for (const { time, msg, role, err } of hub.logs()) {
        const at = Number(time) - story.date
        if (msg === 'request refused') continue
        const reason = (err as Error | undefined)?.message ?? ''
        if (at > from - BEFORE && at < until)
          notes.push({
            at,
            text: `${name} (${hub.pid}) logs: ${String(msg)} ${typeof role === 'string' ? role : ''} ${reason}`,
          })
      }
    }
  }
  const lines = notes.sort((a, b) => a.at - b.at).map(({ at, text }) => `${Math.round(at)} ms  ${text}`)
  return [`the longest pause lasted from ${Math.round(from)} to ${Math.round(until)} ms:`, ...lines]
}

/** Returns the newest lines of the hubs' logs. */
function logsOf(hubs: readonly HubPlace[]): string[] {
  return hubs.flatMap(({ name, processes }) =>
    (processes.at(-1)?.logs() ?? [])
      .filter(({ msg }) => msg !== 'request refused')
      .slice(-LAST_LINES)
      .map((line) => `${name} logs: ${JSON.stringify(line)}`),
  )
}

/** Returns the errors in the logs of the hubs, and the log lines about the stream on NATS, each with its count. */
function errorsOf(hubs: readonly HubPlace[]): string[] {
  const counts = new Map<string, number>()
  for (const line of hubs.flatMap(({ processes }) => processes.flatMap((hub) => hub.logs()))) {
    if (Number(line['level']) < 50 && !String(line.msg).startsWith('the stream ')) continue
    const { stack = '' } = (line['err'] ?? {}) as { stack?: string }
    const text = `${String(line.msg)}: ${stack.split('\n').slice(0, 2).join('')}`
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts].map(([text, count]) => `${count} times in the logs: ${text}`)
}
