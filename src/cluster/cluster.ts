/**
 * What the hub needs of the other processes that serve the same log: for what is not in the log, such as ephemeral
 * events and presence. Every implementation passes the one suite in `test/contract/cluster.ts`.
 */

/** Plain data that JSON can carry: the receiver is given a copy. */
export interface ClusterMessage {
  /** What it is about: the receiver decides by it. */
  readonly kind: string
  readonly [member: string]: unknown
}

/** What a node does with messages of other nodes. */
export interface ClusterReceiver {
  /**
   * Called with each message that another node broadcasts. It must not throw.
   * @param from the node that has sent it
   */
  broadcast(message: ClusterMessage, from: string): void
  /**
   * Answers a request or a survey, with plain data. What it throws refuses the request: the message of the error is
   * sent back.
   */
  request(message: ClusterMessage, from: string): unknown
}

/** The answer of one node. */
export interface Answer {
  node: string
  value: unknown
}

/** The processes that serve one log. Each is a node. */
export interface Cluster {
  /** The name of this node: unique among those that are there, and another one after each start. */
  readonly node: string

  /** Returns the nodes that are there, this one included, in the order of their names. It may be behind by seconds. */
  nodes(): readonly string[]

  /**
   * Has messages of other nodes received. Called once, before the node sends anything. Until then requests of others
   * wait, and what they broadcast is not received.
   */
  receive(receiver: ClusterReceiver): void

  /**
   * Sends a message to every other node, each of which receives it once at most, and those of one node in the order in
   * which they were sent. Nobody is told of a message that is lost, such as one to a node that is just gone.
   */
  broadcast(message: ClusterMessage): void

  /**
   * Asks one node, which may be this one. Resolves with its answer.
   * @throws ClusterError `node-gone` when there is no such node, or it goes before it has answered, or has not answered
   *   for as long as the cluster waits: it may have done what it was asked for; `refused` when its receiver has thrown;
   *   `closed`
   */
  request(node: string, message: ClusterMessage): Promise<unknown>

  /**
   * Asks every other node. Resolves with the answers, in the order of the nodes' names. A node that refuses, goes, or
   * does not answer for as long as the cluster waits is left out.
   * @throws ClusterError `closed`
   */
  survey(message: ClusterMessage): Promise<Answer[]>

  /** Leaves: nothing more is sent or received, and requests that wait are refused with `closed`. */
  close(): Promise<void>
}

export type ClusterErrorCode = 'node-gone' | 'refused' | 'closed'

/** Why a node has no answer. */
export class ClusterError extends Error {
  readonly code: ClusterErrorCode

  constructor(code: ClusterErrorCode, message: string) {
    super(message)
    this.name = 'ClusterError'
    this.code = code
  }
}
