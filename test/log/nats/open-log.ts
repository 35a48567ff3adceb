/** Helpers of the tests of a log on NATS. */
import type { Test } from 'tap'
import type { Retention } from '../../../src/log/log.js'
import { NatsLog, type NatsLogOptions } from '../../../src/log/nats/nats-log.js'
import { Selection } from '../../../src/model/selection.js'
import type { NatsOptions } from '../../../src/nats/nats-options.js'
import { poll } from '../../helper/deadline.js'
import { readFrom } from '../../helper/log.js'

const RETENTION: Retention = { events: 10_000, age: 3_600_000, bytes: 1024 ** 3, dedupWindow: 60_000 }
export const EVERYTHING = new Selection(['**'])

/** Opens a log, which is closed at the end of the test. */
export async function open(t: Test, nats: NatsOptions, more: Partial<NatsLogOptions> = {}): Promise<NatsLog> {
  const log = await NatsLog.open({ nats, replicas: 1, retention: RETENTION, ...more })
  t.teardown(() => log.close())
  return log
}

/** Returns the payloads of all retained events, oldest first. */
export async function payloads(log: NatsLog): Promise<string[]> {
  return (await readFrom(log, EVERYTHING, { after: 0, events: 1e6 })).events.map(({ payload }) => payload)
}

/** Waits until a condition holds. */
export const is = (condition: () => boolean, what: string) =>
  poll(
    async () => (condition() ? true : undefined),
    () => what,
  )
