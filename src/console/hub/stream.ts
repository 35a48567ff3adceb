/** The subscriptions of the console, over one stream of the client, with their state in the console's words. */
import { computed, signal, type Signal } from '@preact/signals'
import { connect, HubError, type Gap, type HubState, type Stop } from 'fanfare-client'
import { BASE } from './address.js'
import { toLiveEvent, type LiveEvent } from './events.js'
import { signOut, token } from './session.js'

/**
 * - `connecting`: the stream has not opened yet, or is reopened after silence
 * - `catching-up`: the hub sends the missed events
 * - `live`: the hub sends new events
 * - `down`: the stream has ended and will reconnect
 * - `refused`: the stream will not reconnect; `detail` says why
 */
export interface StreamState {
  phase: 'connecting' | 'catching-up' | 'live' | 'down' | 'refused'
  detail?: string
}

export interface StreamOptions {
  topics: string[]
  /** Only events of this type; `undefined`: of all types. */
  type?: string | undefined
  /** The cursor after which the stream begins; default: with the next event. */
  after?: string
  onEvent: (event: LiveEvent) => void
}

/** The reasons of the hub and of the client, by their names. */
const DOWN: Record<string, string> = {
  expired: 'the token has expired',
  revoked: 'the stream was ended, or its token was revoked',
  drain: 'the hub is stopping',
  slow: 'the browser read the stream too slowly',
  lifetime: 'the stream reached its maximum age',
  busy: 'the hub is busy',
}
const GAPS: Record<Gap['reason'], string> = {
  expired: 'some missed events are no longer kept',
  epoch: 'the hub has begun a new log',
  future: 'the hub does not have the last event that was read',
  invalid: 'the hub cannot read the last id',
  skipped: 'some events were skipped',
}

/** The ceiling of the wait before a reconnect, in milliseconds: an operator waits for the hub. */
const MAX_WAIT = 4_000
/** A stream is opened again after this silence, in milliseconds. It is longer than the hub's default heartbeat. */
const SILENCE = 20_000

/** The client of the session. Tabs have tokens of their own, and share nothing. */
const client = computed(() =>
  connect(BASE.href, { token: token.value ?? '', tabs: false, maxWait: MAX_WAIT, silence: SILENCE }),
)

export class LiveStream {
  readonly state: Signal<StreamState> = signal({ phase: 'connecting' })
  /** The description of a gap. It stays until the user dismisses it. */
  readonly gap = signal<string | undefined>(undefined)
  readonly #options: StreamOptions
  #stop: Stop

  constructor(options: StreamOptions) {
    this.#options = options
    this.#stop = this.#subscribe(true)
  }

  /** Ends the stream for good. */
  close(): void {
    this.#stop()
  }

  /** @param observe only admins may observe; other users are present on the topic */
  #subscribe(observe: boolean): Stop {
    const { topics, type, after, onEvent } = this.#options
    return client.peek().subscribe(topics, (event) => onEvent(toLiveEvent(event, event.id ?? undefined)), {
      observe,
      ...(type !== undefined && { type }),
      ...(after !== undefined && { from: after }),
      onState: (state) => this.#show(state),
      onGap: ({ reason }) => (this.gap.value = GAPS[reason]),
      onError: (error) => {
        if (observe && error instanceof HubError && error.status === 403) this.#stop = this.#subscribe(false)
        else this.#refuse(error)
      },
    })
  }

  #show({ status, reason = '', error }: HubState): void {
    if (status === 'closed') return
    const lost = error === undefined ? 'the connection was lost' : 'the hub cannot be reached'
    this.state.value = status === 'waiting' ? { phase: 'down', detail: DOWN[reason] ?? lost } : { phase: status }
  }

  #refuse(error: unknown): void {
    if (!(error instanceof HubError)) throw error
    this.state.value = { phase: 'refused', detail: error.message }
    if (error.status === 401) signOut(error.message)
  }
}
