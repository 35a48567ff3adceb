/**
 * A replica's connection to the leader: applies the transactions of the leader to the state, and sends it writes. It
 * ends with the connection.
 */
import type { OwnerSocket } from './lock.js'
import { VERSION, type Refusal, type ToLeader, type ToReplica, type WriteResult } from './messages.js'
import type { PeerLink } from './peers.js'
import type { ReplicatedChange } from './replicated-change.js'
import type { State } from './state.js'
import { StoreError } from './store-error.js'

export interface ReplicaListener {
  /** The name of this process. */
  node: string
  /** Brings the state up to date with the tables. */
  reload(): void
  /**
   * Gives the followers the changes before the last `reload`. Messages wait until it resolves.
   * @returns `false`: reload, and catch up again
   */
  catchUp(): Promise<boolean>
  /** Applies a transaction to the state. */
  onChange(change: ReplicatedChange): void
  onWritten(number: number, result: WriteResult): void
  onRefused(number: number, refusal: Refusal): void
  onBeat(failure: string | undefined): void
  onNodes(nodes: string[], left: string | undefined): void
  onPeer(body: unknown, from: string): void
  /** Called when a connection that was ready has ended. */
  onLost(): void
}

/** A read that waits for a transaction. */
interface Waiting {
  commits: number
  run: (isApplied: boolean) => void
}

export class Replica implements PeerLink {
  readonly #socket: OwnerSocket
  readonly #state: State
  readonly #listener: ReplicaListener
  #waiting: Waiting[] = []
  /** Messages that wait for `catchUp`; `undefined`: none wait. */
  #queue: ToReplica[] | undefined
  /** The number of the newest transaction that the leader has reported as durable. */
  #durable = -1
  #isReady = false
  #leader: string | undefined
  #hasEnded = false
  #ready!: () => void
  #fail!: (err: Error) => void
  readonly #becomesReady = new Promise<void>((resolve, reject) => {
    this.#ready = resolve
    this.#fail = reject
  })

  private constructor(socket: OwnerSocket, state: State, listener: ReplicaListener) {
    this.#socket = socket
    this.#state = state
    this.#listener = listener
  }

  /**
   * Joins the leader. Resolves once the state matches the tables.
   * @throws StoreError if the leader has another version; LostLeaderError if the connection ends
   */
  static async join(socket: OwnerSocket, state: State, listener: ReplicaListener): Promise<Replica> {
    const replica = new Replica(socket, state, listener)
    socket.receive(
      (message) => replica.#receive(message),
      () => replica.#end(),
    )
    socket.send({ kind: 'join', node: listener.node, pid: process.pid, version: VERSION })
    await replica.#becomesReady
    return replica
  }

  /** Sends a write to the leader. */
  write(message: Extract<ToLeader, { kind: 'write' }>): void {
    this.#socket.send(message)
  }

  send(to: string | undefined, body: unknown): void {
    this.#socket.send(to === undefined ? { kind: 'peer', body } : { kind: 'peer', to, body })
  }

  /** As `Role.whenApplied`. */
  whenApplied<T>(commits: number, read: () => T): Promise<{ result: T } | undefined> {
    return new Promise((resolve, reject) => {
      const run = (isApplied: boolean) => {
        try {
          resolve(isApplied ? { result: read() } : undefined)
        } catch (err) {
          reject(err instanceof Error ? err : new Error(String(err)))
        }
      }
      if (this.#hasEnded || commits <= this.#state.totals.commits) run(false)
      else this.#waiting.push({ commits, run })
    })
  }

  /**
   * Reloads the state for reads that wait for a transaction of a silent leader. The leader may have been frozen before
   * it could report the transaction. LMDB shows it to readers once it is as durable as the log promises.
   */
  reloadForReads(): void {
    if (this.#waiting.length === 0 || !this.#isReady || this.#queue) return
    this.#listener.reload()
    this.#durable = this.#state.totals.commits
    void this.#catchUp()
  }

  /** Tells the leader that this process is about to end, and ends the connection. */
  leave(): void {
    this.#socket.send({ kind: 'leave' })
    this.#socket.end()
  }

  /** The node that writes the log. */
  get leader(): string | undefined {
    return this.#leader
  }

  /** Whether the connection has ended. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  #receive(message: ToReplica): void {
    if (this.#queue) {
      this.#queue.push(message)
      return
    }
    switch (message.kind) {
      case 'hello':
        if (message.version !== VERSION) this.#fail(otherVersion(message.pid))
        return
      case 'joined':
        this.#listener.reload()
        this.#leader = message.node
        this.#durable = message.commits
        return this.#catchUpIfDurable()
      case 'change':
        return this.#change(message.change)
      case 'written':
        return this.#listener.onWritten(message.number, message.result)
      case 'refused':
        return this.#listener.onRefused(message.number, message.refusal)
      case 'beat':
        return this.#listener.onBeat(message.failure)
      case 'nodes':
        return this.#listener.onNodes(message.nodes, message.left)
      case 'peer':
        return this.#listener.onPeer(message.body, message.from)
    }
  }

  /** Catches up once the tables are durable: they may show a transaction earlier. */
  #catchUpIfDurable(): void {
    if (!this.#isReady && !this.#queue && this.#durable >= this.#state.totals.commits) void this.#catchUp()
  }

  async #catchUp(): Promise<void> {
    const queue: ToReplica[] = []
    this.#queue = queue
    let isCaughtUp: boolean
    try {
      isCaughtUp = await this.#listener.catchUp()
    } catch (err) {
      this.#fail(err as Error)
      return this.#socket.destroy()
    }
    if (this.#hasEnded) return
    this.#queue = undefined
    this.#isReady = isCaughtUp
    if (!isCaughtUp) this.#listener.reload() // includes every change in the queue
    for (const message of queue) this.#receive(message)
    this.#runReads()
    if (isCaughtUp) this.#ready()
    else this.#catchUpIfDurable()
  }

  #change(change: ReplicatedChange): void {
    const { commits } = change.totals
    this.#durable = commits
    const { commits: applied } = this.#state.totals
    if (commits > applied + 1) return this.#socket.destroy() // the state lacks a transaction: join again
    if (commits === applied + 1) this.#listener.onChange(change)
    this.#catchUpIfDurable()
    this.#runReads()
  }

  /** Runs the reads whose transaction is part of the state. */
  #runReads(): void {
    if (this.#waiting.length === 0) return
    const { commits } = this.#state.totals
    const due = this.#waiting.filter((waiting) => waiting.commits <= commits)
    this.#waiting = this.#waiting.filter((waiting) => waiting.commits > commits)
    for (const { commits: wanted, run } of due) run(wanted === commits)
  }

  #end(): void {
    const wasReady = this.#isReady
    this.#hasEnded = true
    for (const { run } of this.#waiting.splice(0)) run(false)
    this.#fail(new LostLeaderError('the connection to the leader has ended'))
    if (wasReady) this.#listener.onLost()
  }
}

/** The error of a connection that has ended before the replica was ready. */
export class LostLeaderError extends Error {
  override name = 'LostLeaderError'
}

function otherVersion(pid: number): StoreError {
  return new StoreError(
    `The log is in use by process ${pid}, which has another version of Fanfare. All processes of a folder need the same version: stop the others first.`,
  )
}
