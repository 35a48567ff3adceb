/** Appends events to a log in this process, without a hub and without HTTP. */
import { natsServersOf, type LogAddress } from '../../src/log/address.js'
import { openLog } from '../../src/log/open.js'
import { resolveSettings } from '../../src/settings.js'
import { now } from './clock.js'
import { blankPayload } from './mark.js'
import { Histogram } from './histogram.js'
import { topicName } from './topic.js'

export interface AppendsPlan {
  /** As in `FANFARE_LOG`. */
  address: string
  durability: string | undefined
  /** The number of events, each of which is one append. */
  events: number
  warmUp: number
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

/** Opens the log, and closes it afterwards. */
export async function appendEvents({
  address,
  durability,
  events,
  warmUp,
  ...plan
}: AppendsPlan): Promise<AppendsDone> {
  const settings = resolveSettings({
    log: address as LogAddress,
    ...(durability !== undefined && { durability: durability as 'sync' }),
  })
  const servers = natsServersOf(settings.log)
  const nats = servers && {
    nats: { servers, prefix: 'append', timeout: settings.natsTimeout, tls: settings.natsTls },
    replicas: 1,
  }
  const { log, cluster } = await openLog(settings, { nats })
  const payload = JSON.stringify(blankPayload(plan.payload))
  try {
    const append = async (count: number, latency: Histogram) => {
      let left = count
      const inTurn = async () => {
        for (let number = left--; number > 0; number = left--) {
          const startedAt = now()
          const topic = topicName(number % plan.topics)
          await log.append([{ topic, type: undefined, id: undefined, kind: 'json', payload }])
          latency.add(now() - startedAt)
        }
      }
      await Promise.all(Array.from({ length: plan.inFlight }, inTurn))
    }
    await append(warmUp, new Histogram())
    const latency = new Histogram()
    const startedAt = now()
    await append(events, latency)
    const seconds = (now() - startedAt) / 1e6
    const milliseconds = (quantile: number) => latency.quantile(quantile) / 1e3
    return { seconds, latency: { p50: milliseconds(0.5), p99: milliseconds(0.99), max: latency.max / 1e3 } }
  } finally {
    await cluster?.close()
    await log.close()
  }
}
