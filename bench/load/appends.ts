/** Appends events to a log in this process, without a hub and without HTTP. */
import { natsServersOf, type LogAddress } from '../../src/log/address.js'
import { openLog, type OpenedLog } from '../../src/log/open.js'
import { resolveSettings } from '../../src/settings.js'
import { now } from './clock.js'
import { Histogram } from './histogram.js'
import { blankPayload } from './mark.js'
import { topicName } from './topic.js'

export interface AppendsPlan {
  /** As in `FANFARE_LOG`. */
  address: string
  durability: string | undefined
  /** The maximum number of appends at a time. */
  inFlight: number
  topics: number
  /** The size of an event's data, in bytes. */
  payload: number
}

export interface AppendsDone {
  seconds: number
  /** From an append until it is durable, in milliseconds. */
  latency: { p50: number; p99: number; max: number }
}

export class Appends {
  readonly #opened: OpenedLog
  readonly #plan: AppendsPlan
  readonly #payload: string

  private constructor(opened: OpenedLog, plan: AppendsPlan) {
    this.#opened = opened
    this.#plan = plan
    this.#payload = JSON.stringify(blankPayload(plan.payload))
  }

  static async open(plan: AppendsPlan): Promise<Appends> {
    const { address, durability } = plan
    const settings = resolveSettings({
      log: address as LogAddress,
      ...(durability !== undefined && { durability: durability as 'sync' }),
    })
    const servers = natsServersOf(settings.log)
    const nats = servers && {
      nats: { servers, prefix: 'append', timeout: settings.natsTimeout, tls: settings.natsTls },
      replicas: 1,
    }
    return new Appends(await openLog(settings, { nats }), plan)
  }

  /** Appends a number of events, each with an append of its own. */
  async append(events: number): Promise<AppendsDone> {
    const latency = new Histogram()
    const startedAt = now()
    let left = events
    const inTurn = async () => {
      while (left > 0) {
        const topic = topicName(left-- % this.#plan.topics)
        const began = now()
        await this.#opened.log.append([{ topic, type: undefined, id: undefined, kind: 'json', payload: this.#payload }])
        latency.add(now() - began)
      }
    }
    await Promise.all(Array.from({ length: this.#plan.inFlight }, inTurn))
    const seconds = (now() - startedAt) / 1e6
    const milliseconds = (quantile: number) => latency.quantile(quantile) / 1e3
    return { seconds, latency: { p50: milliseconds(0.5), p99: milliseconds(0.99), max: latency.max / 1e3 } }
  }
}
