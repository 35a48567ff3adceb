/**
 * A log that is as late as the contract allows. Answers are late and out of order. Deltas are late, the view has only
 * the state of the delivered deltas, and a scan may include more.
 */
import { setImmediate } from 'node:timers/promises'
import { FollowedView } from '../../src/log/followed-view.js'
import { Followers } from '../../src/log/followers.js'
import type {
  Appended,
  AppendOptions,
  ApplyDelta,
  Beginning,
  EventLog,
  Following,
  KeyValue,
  Located,
  LogDelta,
  LogStats,
  Page,
  ReadOptions,
  ScanResult,
  Span,
  TopicStats,
  TopicsOptions,
  TopicsPage,
} from '../../src/log/log.js'
import type { NewEvent, ScannedEvent } from '../../src/model/event.js'
import type { Selection } from '../../src/model/selection.js'
import { random, type Random } from './random.js'

/** The maximum delay, in turns of the event loop. */
const TURNS = 4

export class DelayedLog implements EventLog {
  readonly records: KeyValue
  readonly #log: EventLog
  readonly #view: FollowedView
  readonly #random: Random
  /** The statistics as of the delivered deltas. */
  #stats: LogStats
  readonly #followers = new Followers()
  /** Pending deliveries, in order. */
  readonly #due: (() => void)[] = []
  #delivering: Promise<void> | undefined

  /** Wraps a log in delays. */
  static async open(log: EventLog, seed: number): Promise<DelayedLog> {
    const early: (() => void)[] = []
    const target: { delayed?: DelayedLog } = {}
    const following = await log.follow((delta) => {
      const stats = log.view.stats()
      const deliver = (): void => target.delayed!.#apply(delta, stats)
      if (target.delayed) target.delayed.#deliver(deliver)
      else early.push(deliver)
    })
    target.delayed = new DelayedLog(log, following, seed)
    for (const deliver of early) target.delayed.#deliver(deliver)
    return target.delayed
  }

  private constructor(log: EventLog, following: Following, seed: number) {
    this.#log = log
    this.#stats = log.view.stats()
    this.#random = random(seed)
    this.#view = new FollowedView(
      { epoch: log.view.epoch, failure: () => log.view.failure, stats: () => this.#stats },
      following,
    )
    const { records } = log
    this.records = {
      get: (key) => this.#late(() => records.get(key)),
      list: (prefix) => this.#late(() => records.list(prefix)),
      put: (key, value, options) => this.#told(records.put(key, value, options)),
      swap: (key, expected, value) => this.#told(records.swap(key, expected, value)),
      delete: (key) => this.#told(records.delete(key)),
      watch: async (prefix, onChange) => {
        const watching = { stopped: false }
        const stop = await this.#told(
          records.watch(prefix, (change) => {
            this.#deliver(() => {
              if (!watching.stopped) onChange(change)
            })
          }),
        )
        return () => {
          watching.stopped = true
          stop()
        }
      },
    }
  }

  get view(): FollowedView {
    return this.#view
  }

  append(events: readonly NewEvent[], options?: AppendOptions): Promise<Appended[]> {
    return this.#told(this.#log.append(events, options))
  }

  async follow(apply: ApplyDelta): Promise<Following> {
    const following = this.#followers.add(apply, this.#view)
    await this.#pause()
    return following
  }

  scan(selection: Selection, span: Span, visit: (event: ScannedEvent) => boolean): Promise<ScanResult> {
    return this.#late(() => this.#log.scan(selection, span, visit))
  }

  locate(selection: Selection, beginning: Beginning): Promise<Located> {
    return this.#late(() => this.#log.locate(selection, beginning))
  }

  newest(selection: Selection, options: ReadOptions): Promise<Page> {
    return this.#late(() => this.#log.newest(selection, options))
  }

  topic(name: string): Promise<TopicStats | undefined> {
    return this.#late(() => this.#log.topic(name))
  }

  topics(options: TopicsOptions, accepts?: (name: string) => boolean): Promise<TopicsPage> {
    return this.#late(() => this.#log.topics(options, accepts))
  }

  purge(topic: string): Promise<number> {
    return this.#told(this.#log.purge(topic))
  }

  halt(): Promise<void> {
    return this.#log.halt()
  }

  async close(): Promise<void> {
    await this.#told(this.#log.close())
    this.#followers.clear()
  }

  #apply(delta: LogDelta, stats: LogStats): void {
    this.#stats = stats
    this.#view.apply(delta)
    this.#followers.tell(delta)
  }

  #deliver(tell: () => void): void {
    this.#due.push(tell)
    this.#delivering ??= this.#deliverAll()
  }

  async #deliverAll(): Promise<void> {
    for (; this.#due.length > 0; this.#due.shift()!()) await this.#pause()
    this.#delivering = undefined
  }

  /** Resolves late, after the delivery of everything that happened before the answer was known. */
  async #told<T>(answer: Promise<T>): Promise<T> {
    const value = await answer
    if (this.#delivering) await new Promise<void>((resolve) => this.#deliver(resolve))
    await this.#pause()
    return value
  }

  /** Calls late, and answers late. */
  async #late<T>(ask: () => Promise<T>): Promise<T> {
    await this.#pause()
    const answer = await ask()
    await this.#pause()
    return answer
  }

  async #pause(): Promise<void> {
    for (let turns = this.#random.below(TURNS + 1); turns > 0; turns--) await setImmediate()
  }
}
