import type { Stream } from '../../src/hub/stream.js'
import { Connections } from '../../src/hub/connections.js'
import { monotonicNow } from '../../src/model/clock.js'
import type { Principal } from '../../src/model/principal.js'
import type { CloseReason } from '../../src/wire/sse.js'
import { anybody } from './anybody.js'

/** The end of a stream. */
export interface Ending {
  id: string
  reason: CloseReason
  /** On the monotonic clock. */
  time: number
}

/** The members of a stream that a test chooses. */
export interface Fake {
  principal?: Partial<Principal>
  state?: Stream['state']
  lastWrite?: number
  openedAt?: number
  isDue?: boolean
}

/** Connections with streams that only record how they end. */
export class FakeStreams {
  readonly connections = new Connections()
  readonly endings: Ending[] = []

  add(id: string, { principal, state = 'live', lastWrite = Infinity, openedAt = Infinity, isDue = false }: Fake = {}) {
    const stream = {
      info: { id, address: '127.0.0.1', observes: false, principal: { ...anybody, ...principal } },
      state,
      lastWrite,
      openedAt,
      feed: { isDue },
      end: (reason: CloseReason) => {
        this.connections.delete(stream, 'gone')
        this.endings.push({ id, reason, time: monotonicNow() })
      },
    } as unknown as Stream
    this.connections.add(stream)
  }
}
