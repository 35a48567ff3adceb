/** The messages between the leader of a folder and its replicas. */
import type { NewEvent } from '../../model/event.js'
import type { HubErrorCode } from '../../model/hub-error.js'
import type { ReplicatedChange } from './replicated-change.js'

/** The version of the messages. Processes with different versions do not share a folder. */
export const VERSION = 1

/** A write that a replica asks for. */
export type WriteRequest =
  | { readonly append: readonly NewEvent[] }
  | { readonly put: readonly [key: string, value: unknown, ttl: number | undefined] }
  | { readonly delete: string }
  | { readonly purge: string }
  /** Nothing: the answer follows every earlier transaction. */
  | { readonly catchUp: true }

/** The result of a write: of an append as in `toAnswer`, and the number of events of a purge. */
export type WriteResult = readonly number[] | number | undefined

/** The error of a refused write. */
export interface Refusal {
  code: HubErrorCode
  message: string
  index: number | undefined
}

export type ToLeader =
  /** The first message of a replica. */
  | { kind: 'join'; node: string; version: number }
  /**
   * A write. Each write of a node has the next number. The node needs no answer any more for its writes up to `done`.
   * `since`: the write was sent to an earlier leader at this time, in milliseconds of the system's monotonic clock, and
   * may have been stored.
   */
  | { kind: 'write'; number: number; done: number; since?: number; request: WriteRequest }
  /** The node is about to end. */
  | { kind: 'leave' }
  /** A message to another node; without `to`, to all other nodes. */
  | { kind: 'peer'; to?: string; body: unknown }

export type ToReplica =
  /** The first message of a process that holds the folder. */
  | { kind: 'hello'; pid: number; version: number }
  /** The replica gets every later transaction. */
  | { kind: 'joined'; node: string; commits: number }
  | { kind: 'change'; change: ReplicatedChange }
  | { kind: 'written'; number: number; result: WriteResult }
  | { kind: 'refused'; number: number; refusal: Refusal }
  /** Sent regularly, and when the failure changes. */
  | { kind: 'beat'; failure: string | undefined }
  /** All nodes, after each change. `left`: the node that has left for good. */
  | { kind: 'nodes'; nodes: string[]; left?: string }
  | { kind: 'peer'; from: string; body: unknown }
