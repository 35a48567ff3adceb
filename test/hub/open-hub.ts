import type { Test } from 'tap'
import { Hub, type HubOptions } from '../../src/hub/hub.js'
import type { Principal } from '../../src/model/principal.js'
import { Selection } from '../../src/model/selection.js'
import type { Format } from '../../src/wire/sse.js'
import type { StartRequest } from '../../src/hub/start.js'
import type { SlowPolicy, Stream } from '../../src/hub/stream.js'
import type { EventLog, Retention } from '../../src/log/log.js'
import { MemoryLog } from '../../src/log/memory/memory-log.js'
import { DelayedLog } from '../helper/delayed-log.js'
import { anybody } from './anybody.js'
import { FakeSink } from './fake-sink.js'

/** The seed of a log whose answers and deltas are late; default: a memory log without delays. */
const LATE = process.env['TEST_LATE_LOG']
export const IS_LATE = LATE !== undefined

export interface Asking extends StartRequest, Partial<Pick<Principal, 'subject' | 'expiresAt' | 'info'>> {
  id?: string
  types?: string[]
  format?: Format
  sink?: FakeSink
  slow?: SlowPolicy
  observes?: boolean
  presence?: boolean
}

export interface OpenHub {
  hub: Hub
  log: EventLog
  /** The errors that the hub has reported. */
  errors: unknown[]
  /** Opens a stream, as a route does. */
  subscribe: (patterns: string[], asking?: Asking) => Promise<FakeSink & { stream: Stream }>
}

/** Opens a hub on a memory log, by default without heartbeats. The hub is closed when the test is over. */
export async function openHub(
  t: Test,
  options: Partial<HubOptions> = {},
  retention: Partial<Retention> = {},
): Promise<OpenHub> {
  const memory = new MemoryLog({ events: 1e6, age: 1e12, bytes: 1e12, dedupWindow: 1e6, ...retention })
  const log = LATE === undefined ? memory : await DelayedLog.open(memory, Number(LATE))
  return openHubOn(t, log, options)
}

export async function openHubOn(t: Test, log: EventLog, options: Partial<HubOptions> = {}): Promise<OpenHub> {
  const errors: unknown[] = []
  const hub = await Hub.open(log, {
    heartbeat: 1e9,
    maxAge: 0,
    maxEventSize: 1e9,
    presenceGrace: 0,
    maxCursorsPerSubject: 100,
    cursorTtl: 1e9,
    onError: (err) => void errors.push(err),
    ...options,
  })
  t.teardown(() => hub.close())
  let ids = 0

  async function subscribe(
    patterns: string[],
    {
      types = [],
      format = 'raw',
      sink = new FakeSink(),
      id = `c${++ids}`,
      subject,
      expiresAt,
      slow = 'resume',
      observes = false,
      presence = false,
      info,
      ...request
    }: Asking = {},
  ) {
    const selection = new Selection(patterns, types, presence)
    const start = await hub.streams.locate(selection, request)
    const stream = hub.streams.subscribe({
      info: { id, address: '127.0.0.1', observes, principal: { ...anybody, subject, expiresAt, info } },
      selection,
      format,
      start,
      sink,
      slow,
    })
    return Object.assign(sink, { stream })
  }

  return { hub, log, errors, subscribe }
}
