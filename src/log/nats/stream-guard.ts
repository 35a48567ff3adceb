/**
 * Looks after the stream of the events: checks its state periodically, since JetStream does not report what it trims,
 * replaces a stream that was lost, and reports failures. A stream that answers may store nothing
 * (https://github.com/nats-io/nats-server/issues/8519), so the guard has the state confirmed once an append has failed.
 */
import type { NatsLink } from '../../nats/nats-link.js'
import { JetStreamError, STREAM_NOT_FOUND, type JetStream, type StreamConfig, type StreamInfo } from './jetstream.js'
import { beginGeneration, epochOf, provideStream } from './stream-config.js'
import type { StreamFollower } from './stream-follower.js'

/** The time between two checks of the state of the stream, in milliseconds. */
const CHECK_INTERVAL = 1_000

/** The error of a stream that answers and does not carry out changes. */
class StalledStreamError extends Error {
  override name = 'StalledStreamError'

  constructor(stream: string, leader: string | undefined, cause: unknown) {
    const where = leader === undefined ? 'the NATS server' : `its leader, the NATS server ${leader}`
    super(`the stream ${stream} answers, but stores nothing: if this lasts, restart ${where}`, { cause })
  }
}

export interface StreamGuardOptions {
  link: NatsLink
  jetstream: JetStream
  follower: StreamFollower
  /** The settings of a stream that is created. */
  config: StreamConfig
  /** A failure is reported once it has lasted for this time, in milliseconds. */
  patience: number
  /** Called when events cannot be stored, and when they can again. */
  onHealth: (failure: Error | undefined) => void
  /** Called with messages for the operator. */
  onNotice: (message: string) => void
}

export class StreamGuard {
  readonly #options: StreamGuardOptions
  failure: Error | undefined
  /** Reports a failure that lasts. */
  #failureTimer: NodeJS.Timeout | undefined
  /** Whether the stream has used a sequence twice. */
  #hasRewound = false
  /** Whether the stream has not answered an append, and has not shown since then that it carries out changes. */
  #isDoubted = false
  #checking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined
  #isClosed = false

  constructor(options: StreamGuardOptions) {
    this.#options = options
  }

  /** Follows the stream, which is created if it does not exist, and checks it from now on. */
  async start(): Promise<void> {
    const { link, follower } = this.#options
    await follower.begin(await this.#provide())
    this.#unwatch = link.watch((isUp) => {
      if (isUp) void this.check()
      else this.#reportFailure(new Error('there is no connection to NATS'))
    })
    this.#checkLater()
  }

  /** Checks the stream. Concurrent calls share one check. */
  check(): Promise<void> {
    clearTimeout(this.#timer)
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
      this.#checkLater()
    })
    return this.#checking
  }

  /** Whether the stream still is the one that is followed. If not, begins to follow the one that has replaced it. */
  async isSame(): Promise<boolean> {
    const { jetstream, config, follower } = this.#options
    try {
      if (epochOf(await jetstream.streamInfo(config.name)) === follower.epoch) return true
    } catch (err) {
      if (!(err instanceof JetStreamError) || err.code !== STREAM_NOT_FOUND) throw err
    }
    await this.check()
    return false
  }

  /** Notes that the follower has begun with a stream. */
  begun(): void {
    this.#hasRewound = false
  }

  /** Notes that the stream has not answered an append in time. */
  doubt(): void {
    this.#isDoubted = true
  }

  /** Notes the sequence of an event that this process has stored, and the head at the time when it sent the event. */
  stored(sequence: number, head: number): void {
    this.#isDoubted = false
    if (sequence <= head) this.#hasRewound = true
  }

  /** Stops the checks. Resolves when none is under way. */
  async stop(): Promise<void> {
    this.#isClosed = true
    this.#unwatch?.()
    clearTimeout(this.#timer)
    clearTimeout(this.#failureTimer)
    await this.#checking
  }

  #checkLater(): void {
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.check(), CHECK_INTERVAL).unref()
  }

  async #check(): Promise<void> {
    const { link, jetstream, follower } = this.#options
    if (!link.isUp || this.#isClosed) return
    try {
      const { head } = follower.index
      const info = await this.#info(head)
      if (epochOf(info) !== follower.epoch) await this.#replace(info)
      else if (this.#hasRewound || info.state.last_seq < head) {
        // the stream has lost its newest events, as after a power failure of a server that had not flushed them
        await beginGeneration(jetstream, info)
        await this.#replace(await this.#infoOrNew())
      } else await follower.trimBefore(info.state.first_seq)
      this.#recover()
    } catch (err) {
      const known = err instanceof StalledStreamError
      this.#reportFailure(known ? err : new Error('the stream of the events cannot be used', { cause: err }))
    }
  }

  /**
   * Returns the state of the stream. It is confirmed if an append has failed, or if the stream seems to end before
   * `head`: a new leader of the stream may learn of the newest events a little late.
   * @throws StalledStreamError
   */
  async #info(head: number): Promise<StreamInfo> {
    const { jetstream, config, follower } = this.#options
    const info = await this.#infoOrNew()
    const isShorter = epochOf(info) === follower.epoch && info.state.last_seq < head
    if (!this.#isDoubted && !isShorter) return info
    try {
      const confirmed = await jetstream.confirmedInfo(config.name)
      this.#isDoubted = false
      return confirmed
    } catch (err) {
      throw new StalledStreamError(config.name, info.cluster?.leader, err)
    }
  }

  /** Returns the state of the stream. Creates the stream again if it was deleted. */
  async #infoOrNew(): Promise<StreamInfo> {
    const { jetstream, config } = this.#options
    try {
      return await jetstream.streamInfo(config.name)
    } catch (err) {
      if (err instanceof JetStreamError && err.code === STREAM_NOT_FOUND) return this.#provide()
      throw err
    }
  }

  async #provide(): Promise<StreamInfo> {
    const { jetstream, config, onNotice } = this.#options
    const { info, differences } = await provideStream(jetstream, config)
    if (differences.length > 0)
      onNotice(`the stream ${config.name} has other settings, which the hub does not change: ${differences.join('; ')}`)
    return info
  }

  /** Follows the stream that has replaced the previous one. */
  async #replace(info: StreamInfo): Promise<void> {
    const { config, follower, onNotice } = this.#options
    onNotice(`the stream ${config.name} was created again, or has lost its newest events: every cursor gets a gap`)
    await follower.begin(info)
  }

  /** Reports a failure once it has lasted as long as the time limit of an append: until then no append is refused. */
  #reportFailure(failure: Error): void {
    this.#failureTimer ??= setTimeout(() => {
      this.failure = failure
      this.#options.onHealth(failure)
    }, this.#options.patience).unref()
  }

  #recover(): void {
    clearTimeout(this.#failureTimer)
    this.#failureTimer = undefined
    if (!this.failure) return
    this.failure = undefined
    this.#options.onHealth(undefined)
  }
}
