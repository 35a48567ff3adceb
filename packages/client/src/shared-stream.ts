/**
 * The stream of a lane: one connection for all its subscriptions. Its topics and its token
 * change without a reconnect (`changes.ts`).
 */
import type { Changes } from './changes.js'
import type { HubError } from './errors.js'
import type { Http } from './http.js'
import { later } from './later.js'
import { LIVE, OPEN, openReader, type HubBlock, type Opening, type Reader } from './reader.js'
import type { Query } from './stream.js'
import type { HubState } from './types.js'

/** What a stream is for, and who takes its blocks. */
export interface StreamUser {
  /** The parameters of every stream of the lane. */
  readonly query: Query
  /** The cursor to continue from; `undefined`: the stream has not been open. */
  cursor: string | undefined
  /** The topics and patterns of the stream up to the cursor. */
  held: readonly string[]
  state: HubState
  /** Returns the topics and patterns that the stream should have. */
  wanted(): string[]
  /** Returns where a stream without a cursor begins. */
  start(): Query | undefined
  /** @param isContinuous `false` for an open block that may come after missing blocks */
  onBlock(block: HubBlock, isContinuous?: boolean): void
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

/** The state of a stream. */
export interface OpenStream {
  reader: Reader | undefined
  /** The id of the connection. */
  connection: string
  /** The topics that the stream has, or will have by the hub's answer. */
  held: readonly string[]
  isLive: boolean
}

export function createSharedStream(http: Http, user: StreamUser): SharedStream {
  const stream: OpenStream = { reader: undefined, connection: '', held: user.held, isLive: false }
  let asked: string[] = []
  let isSyncing = false
  let changes: Promise<Changes> | undefined

  /** What changes an open stream is loaded for the first change. */
  function loadChanges(): Promise<Changes> {
    return (changes ??= later(() => import('./changes.js'), { timeout: Infinity }).then(({ createChanges }) =>
      createChanges(http, user, stream),
    ))
  }

  /**
   * A stream that resumes asks for the topics that it had: at its cursor, topics that are new would begin in the past.
   * They follow once it is live.
   */
  function query(): Query {
    const wanted = user.wanted()
    const known = wanted.filter((pattern) => user.cursor !== undefined && stream.held.includes(pattern))
    asked = known.length > 0 ? known : wanted
    return { ...user.query, topic: asked, ...(known.length > 0 ? { lastEventId: user.cursor } : user.start()) }
  }

  function onBlock(block: HubBlock): void {
    const { name, content } = block
    if (name === OPEN) {
      const { connection, topics } = content as Opening
      stream.held = topics
      if (stream.connection !== connection) {
        stream.connection = connection
        if (typeof http.options.token === 'function') void loadChanges().then((loaded) => loaded.keepToken())
      }
    }
    user.onBlock(block)
    if (name === OPEN || name === LIVE) change()
  }

  function onState(state: HubState): void {
    stream.isLive = state.status === 'live'
    user.onState(state)
  }

  async function onOver(error: HubError | undefined): Promise<void> {
    const patterns = asked
    stream.reader = undefined
    if (!error) user.onComplete(patterns)
    else if (error.status === 401 || patterns.length === 1 || !(await (await loadChanges()).refuse(patterns)))
      user.onRefused(patterns, error)
    sync()
  }

  function change(): void {
    const wanted = user.wanted()
    const isSame = wanted.length === stream.held.length && wanted.every((pattern) => stream.held.includes(pattern))
    if (stream.isLive && !isSame) void loadChanges().then((loaded) => loaded.change())
  }

  function sync(): void {
    if (isSyncing) return
    isSyncing = true
    queueMicrotask(() => {
      isSyncing = false
      if (user.wanted().length === 0) stop()
      else if (stream.reader) change()
      else stream.reader = openReader(http, { query, onBlock, onState, onOver: (error) => void onOver(error) })
    })
  }

  function stop(): void {
    stream.reader?.stop()
    stream.reader = undefined
    stream.isLive = false
    stream.held = []
    void changes?.then((loaded) => loaded.stop())
    user.onState(IDLE)
  }

  return { sync, stop }
}
