/**
 * The port to the other processes that serve the same log, for data that is not in the log, such as ephemeral events
 * and presence. Every implementation passes the suite in `test/contract/cluster.ts`.
 */

/** A message: plain data that JSON can carry. The receiver gets a copy. */
export interface ClusterMessage {
  /** The type of the message, by which the receiver dispatches it. */
  readonly kind: string
  readonly [member: string]: unknown
}

/** Handles the messages of other nodes, which may have another version: a message may have any shape. */
export interface ClusterReceiver {
  /**
   * Called with each message that another node broadcasts. It must not throw.
   * @param from the node that sent the message
   */
  broadcast(message: unknown, from: string): void
  /** Answers a request or a survey with plain data. An exception refuses the request, and its message is sent back. */
  request(message: unknown, from: string): unknown
}

/** The answer of one node. */
export interface Answer {
  node: string
  value: unknown
}

/** The processes that serve one log. Each process is a node. */
export interface Cluster {
  /**
   * The name of this node: letters, digits, `_` and `-`. It is unique among the running nodes, and changes with each
   * start.
   */
  readonly node: string

  /** Returns the running nodes, including this one, sorted by name. The list may be seconds out of date. */
  nodes(): readonly string[]

  /** Returns the node that writes the log, for a log that one of the nodes writes; `undefined`: none is known. */
  leader?(): string | undefined

  /**
   * Starts to receive messages of other nodes. Call it once, before the node sends anything. Until then, requests of
   * other nodes wait, and their broadcasts are lost.
   */
  receive(receiver: ClusterReceiver): void

  /**
   * Sends a message to every other node. Each node receives it at most once, and the messages of one node in the order
   * in which they were sent. A lost message, such as one to a node that has just ended, causes no error.
   */
  broadcast(message: ClusterMessage): void

  /**
   * Sends a request to one node, which may be this one. Resolves with its answer.
   * @throws ClusterError `node-gone` if the node does not exist, ends before it has answered, or exceeds the cluster's
   *   timeout (the node may have carried out the request); `refused` if its receiver has thrown; `closed`
   */
  request(node: string, message: ClusterMessage): Promise<unknown>

  /**
   * Sends a request to every other node. Resolves with the answers, sorted by the names of the nodes, without the nodes
   * that refuse, end, or exceed the cluster's timeout.
   * @throws ClusterError `closed`
   */
  survey(message: ClusterMessage): Promise<Answer[]>

  /** Leaves the cluster. Nothing more is sent or received, and pending requests are refused with `closed`. */
  close(): Promise<void>
}

export type ClusterErrorCode = 'node-gone' | 'refused' | 'closed'

/** Says why a node has not answered. */
export class ClusterError extends Error {
  readonly code: ClusterErrorCode

  constructor(code: ClusterErrorCode, message: string) {
    super(message)
    this.name = 'ClusterError'
    this.code = code
  }
}
