/**
 * The stream of a lane: one connection for all its subscriptions. Its topics change without a reconnect
 * (`PATCH /connections/{id}`), and its token is renewed before it expires (`PUT /connections/{id}/token`).
 */
import { backoff, delay } from './backoff.js'
import { isFinal, type HubError } from './errors.js'
import type { Http } from './http.js'
import type { Block } from './parser.js'
import { LIVE, OPEN, openReader, type Reader } from './reader.js'
import type { Query } from './stream.js'
import type { HubState } from './types.js'

/** The wait after a change of topics that has failed, in milliseconds. */
const RETRY = 1_000

/** What a stream is for, and who takes its blocks. */
export interface StreamUser {
  /** The parameters of every stream of the lane. */
  readonly query: Query
  /** The cursor to continue from; `undefined`: the stream has not been open. */
  cursor: string | undefined
  /** The topics and patterns of the stream up to the cursor. */
  held: ReadonlySet<string>
  state: HubState
  /** Returns the topics and patterns that the stream should have. */
  wanted(): string[]
  /** Returns where a stream without a cursor begins. */
  start(): Query | undefined
  /** @param isContinuous `false` for an open block that may come after missing blocks */
  onBlock(block: Block, isContinuous?: boolean): void
  onState(state: HubState): void
  /** @param patterns those that the hub refuses */
  onRefused(patterns: readonly string[], error: HubError): void
  /** The topics are complete. */
  onComplete(patterns: readonly string[]): void
}

export interface SharedStream {
  /** Opens, changes or ends the stream, as its user wants it, after the current turn. */
  sync(): void
  stop(): void
}

export const IDLE: HubState = { status: 'closed', reason: 'idle' }

export function createSharedStream(http: Http, user: StreamUser): SharedStream {
  const { options } = http
  let reader: Reader | undefined
  let connection = ''
  /** The topics that the stream has, or will have by the hub's answer. */
  let held = user.held
  let asked: string[] = []
  let isLive = false
  let isChanging = false
  let isSyncing = false
  let renewing = new AbortController()
  /** A ticket opens streams only, and a stream without a subject cannot be changed. */
  let canChange = !options.tickets && Boolean(options.token ?? options.cookies)

  /**
   * A stream that resumes asks for the topics that it had: at its cursor, topics that are new would begin in the past.
   * They follow once it is live.
   */
  function query(): Query {
    const wanted = user.wanted()
    const known = wanted.filter((pattern) => user.cursor !== undefined && held.has(pattern))
    asked = known.length > 0 ? known : wanted
    return { ...user.query, topic: asked, ...(known.length > 0 ? { lastEventId: user.cursor } : user.start()) }
  }

  function onBlock(block: Block): void {
    if (block.event === OPEN) {
      const opened = JSON.parse(block.data!) as { connection: string; topics: string[] }
      held = new Set(opened.topics)
      if (connection !== opened.connection) {
        connection = opened.connection
        keepToken()
      }
    }
    user.onBlock(block)
    if (block.event === OPEN || block.event === LIVE) void change()
  }

  function onState(state: HubState): void {
    isLive = state.status === 'live'
    user.onState(state)
  }

  async function onOver(error: HubError | undefined): Promise<void> {
    const patterns = asked
    reader = undefined
    if (!error) user.onComplete(patterns)
    else if (error.status === 401 || patterns.length === 1 || !(await vet(patterns))) user.onRefused(patterns, error)
    sync()
  }

  /** Tells the user which topics the hub refuses. Resolves with `false` if it refuses none of them alone. */
  async function vet(patterns: readonly string[]): Promise<boolean> {
    try {
      return await (await import('./vet.js')).vet(http, user.query, patterns, user.onRefused)
    } catch {
      await delay(backoff(RETRY, 0, options.maxWait))
      return true // asked again with the next attempt
    }
  }

  async function change(): Promise<void> {
    if (isChanging || !isLive || !reader) return
    const stream = reader
    const wanted = user.wanted()
    const subscribe = wanted.filter((pattern) => !held.has(pattern))
    const unsubscribe = [...held].filter((pattern) => !wanted.includes(pattern))
    if (wanted.length === 0 || subscribe.length + unsubscribe.length === 0) return
    if (!canChange) {
      if (subscribe.length === 0) return // the topics go with the next reconnect
      held = new Set(wanted)
      stream.restart()
      return
    }
    isChanging = true
    try {
      const path = `connections/${connection}`
      const { topics } = await http.request<{ topics: string[] }>('PATCH', path, { body: { subscribe, unsubscribe } })
      held = new Set(topics)
    } catch (error) {
      if (!isFinal(error)) await delay(backoff(RETRY, 0, options.maxWait))
      else if (error.status === 404)
        stream.restart() // it has ended, and this side has not noticed yet
      else if (!(await vet(subscribe))) canChange = false
    }
    isChanging = false
    void change()
  }

  function keepToken(): void {
    renewing.abort()
    const { signal } = (renewing = new AbortController())
    if (typeof options.token !== 'function') return
    import('./renewal.js')
      .then(({ keepRenewing }) => keepRenewing(http, connection, signal, () => reader?.restart()))
      .catch(() => undefined) // without the file, the stream is opened again when its token has expired
  }

  function sync(): void {
    if (isSyncing) return
    isSyncing = true
    queueMicrotask(() => {
      isSyncing = false
      if (user.wanted().length === 0) stop()
      else if (reader) void change()
      else reader = openReader(http, { query, onBlock, onState, onOver: (error) => void onOver(error) })
    })
  }

  function stop(): void {
    reader?.stop()
    reader = undefined
    isLive = false
    held = new Set()
    renewing.abort()
    user.onState(IDLE)
  }

  return { sync, stop }
}
