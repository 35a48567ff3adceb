/** The replicas of a leader: sends them each transaction, and answers the writes that they request. */
import type { Answers } from './answers.js'
import type { FolderLock, ReplicaSocket } from './lock.js'
import { encodeMessage } from './message-socket.js'
import { VERSION, type ToLeader, type ToReplica } from './messages.js'
import type { Peers } from './peers.js'
import type { ReplicatedChange } from './replicated-change.js'
import { RETRY_TIME, toRefusal, type ReplicaWrites, type Write } from './replica-writes.js'
import type { State } from './state.js'
import type { Writer } from './writer.js'

/** A replica that leaves more than this many bytes unread is disconnected. It then reads the tables instead. */
const MAX_BACKLOG = 64 * 1024 * 1024
/** How long answers are kept for a node without a connection, in milliseconds: longer than `RETRY_TIME`. */
const ANSWER_TIME = 2 * RETRY_TIME

export interface ReplicasSource {
  state: State
  writer: Writer
  writes: ReplicaWrites
  answers: Answers
  peers: Peers
  lock: FolderLock
}

export class Replicas {
  readonly #source: ReplicasSource
  readonly #replicas = new Map<ReplicaSocket, string>()
  readonly #pids = new Map<ReplicaSocket, number>()
  /** When each node without a connection was last connected, on the monotonic clock. */
  readonly #seen = new Map<string, number>()
  readonly #startedAt = performance.now()
  #isClosing = false

  constructor(source: ReplicasSource) {
    this.#source = source
    const { peers } = source
    peers.connect({ send: (to, body) => this.#forward(to, body, peers.node) }, peers.node)
    peers.setNodes([])
  }

  /** The ids of the processes that are replicas. */
  get pids(): number[] {
    return [...this.#pids.values()]
  }

  /** Takes the connection of another process. */
  accept(socket: ReplicaSocket): void {
    if (this.#isClosing) return socket.destroy() // the process tries again, until another leader answers
    socket.receive(
      (message) => this.#receive(socket, message),
      () => {
        this.#pids.delete(socket)
        this.#left(socket)
      },
    )
  }

  /** Sends a transaction to all replicas. */
  send(replicate: () => ReplicatedChange): void {
    if (this.#replicas.size === 0) return
    this.#broadcast({ kind: 'change', change: replicate() })
    process.nextTick(() => this.#flush()) // with the answers of the transaction, and before a long sweep
  }

  /** Tells the replicas that the leader works, and whether it can store events. */
  beat(): void {
    this.#broadcast({ kind: 'beat', failure: this.#source.writer.failure?.message })
  }

  /** Sends a beat, and forgets the answers for processes that have ended. Call it periodically. */
  tick(): void {
    this.beat()
    const { answers, writer } = this.#source
    const connected = new Set(this.#replicas.values())
    const forgotten: string[] = []
    for (const node of answers.nodes) {
      const seen = this.#seen.get(node) ?? this.#startedAt
      if (!connected.has(node) && performance.now() - seen > ANSWER_TIME) forgotten.push(node)
    }
    for (const node of forgotten) {
      this.#seen.delete(node)
      const forget = () => {
        answers.forget(node)
        return 'unchanged' as const
      }
      writer.change({ write: forget, bytes: 0 }).catch(() => undefined) // the next tick tries again
    }
  }

  /** Accepts no further writes. The replicas send unanswered writes to the next leader. */
  stop(): void {
    this.#isClosing = true
  }

  /** Disconnects each replica once all messages to it are sent. */
  close(): void {
    const { peers } = this.#source
    this.#broadcast({ kind: 'nodes', nodes: [...this.#replicas.values()], left: peers.node })
    for (const socket of this.#replicas.keys()) socket.end()
    this.#replicas.clear()
    peers.connect(undefined)
  }

  /** Disconnects all replicas at once. They send unanswered writes to the new leader of the folder. */
  disconnect(): void {
    this.stop()
    for (const socket of this.#replicas.keys()) socket.destroy()
    this.#replicas.clear()
    this.#source.peers.connect(undefined)
  }

  #receive(socket: ReplicaSocket, message: ToLeader): void {
    switch (message.kind) {
      case 'join':
        return void this.#join(socket, message)
      case 'write':
        return void this.#write(socket, message)
      case 'leave':
        return this.#left(socket, true)
      case 'peer': {
        const from = this.#replicas.get(socket)
        if (from !== undefined) this.#forward(message.to, message.body, from)
      }
    }
  }

  async #join(socket: ReplicaSocket, { node, pid, version }: Extract<ToLeader, { kind: 'join' }>): Promise<void> {
    if (version !== VERSION) return socket.end() // `hello` has told the replica the version
    const { peers, state, writer } = this.#source
    this.#pids.set(socket, pid)
    await writer.showNewest().catch(() => undefined) // then a replica reads the newest one it can
    if (!this.#pids.has(socket) || this.#isClosing) return socket.destroy()
    this.#dropOther(node)
    this.#replicas.set(socket, node)
    socket.send({ kind: 'joined', node: peers.node, commits: state.totals.commits })
    this.beat()
    this.#tellNodes()
  }

  /** Drops the previous connection of a node: the node sends its unanswered writes again on the new one. */
  #dropOther(node: string): void {
    for (const [socket, other] of this.#replicas) {
      if (other !== node) continue
      this.#replicas.delete(socket)
      socket.destroy()
    }
  }

  /** @param isFinal whether the process is about to end */
  #left(socket: ReplicaSocket, isFinal = false): void {
    const node = this.#replicas.get(socket)
    if (node === undefined) return
    this.#replicas.delete(socket)
    this.#seen.set(node, performance.now())
    this.#tellNodes(isFinal ? node : undefined)
  }

  #tellNodes(left?: string): void {
    const { peers } = this.#source
    const nodes = [...this.#replicas.values(), peers.node]
    peers.setNodes(nodes, left)
    this.#broadcast(left === undefined ? { kind: 'nodes', nodes } : { kind: 'nodes', nodes, left })
  }

  /** Forwards a message of one node to another, or to all others. */
  #forward(to: string | undefined, body: unknown, from: string): void {
    const { peers } = this.#source
    if (to === undefined ? from !== peers.node : to === peers.node) peers.receive(body, from)
    if (to === peers.node) return
    const frame = encodeMessage({ kind: 'peer', from, body } satisfies ToReplica)
    for (const [socket, node] of this.#replicas)
      if (to === undefined ? node !== from : node === to) this.#send(socket, frame)
  }

  async #write(socket: ReplicaSocket, write: Write): Promise<void> {
    const { number } = write
    const node = this.#replicas.get(socket)
    if (node === undefined || this.#isClosing) return
    try {
      socket.send({ kind: 'written', number, result: await this.#source.writes.perform(node, write) })
    } catch (err) {
      if (this.#source.lock.taken()) return socket.destroy() // the new leader stores the write
      socket.send({ kind: 'refused', number, refusal: toRefusal(err) })
    }
  }

  #broadcast(message: ToReplica): void {
    if (this.#replicas.size === 0) return
    const frame = encodeMessage(message)
    for (const socket of this.#replicas.keys()) this.#send(socket, frame)
  }

  #flush(): void {
    for (const socket of this.#replicas.keys()) socket.flush()
  }

  #send(socket: ReplicaSocket, frame: Buffer): void {
    if (socket.backlog > MAX_BACKLOG) socket.destroy()
    else socket.sendEncoded(frame)
  }
}
