/** The messages between the leader of a folder and its replicas. */
import type { NewEvent } from '../../model/event.js'
import type { HubErrorCode } from '../../model/hub-error.js'
import type { Expected } from '../log.js'
import type { Answer } from './answers.js'
import type { ReplicatedChange } from './replicated-change.js'

/** The version of the messages. Processes with different versions do not share a folder. */
export const VERSION = 3

/** A write that a replica requests. */
export type WriteRequest =
  | { readonly append: readonly NewEvent[]; readonly expected?: Expected | undefined }
  /** Without an expected or a new value: there is, or will be, no record. */
  | { readonly swap: string; readonly expected?: unknown; readonly value?: unknown }
  | { readonly put: readonly [key: string, value: unknown, ttl: number | undefined] }
  | { readonly delete: string }
  | { readonly purge: string }
  /** Nothing: the answer follows every earlier transaction. */
  | { readonly catchUp: true }

/** The result of a write. `false`: the record was not swapped. `undefined`: of `catchUp`. */
export type WriteResult = Answer | false | undefined

/** The error of a refused write. */
export interface Refusal {
  code: HubErrorCode
  message: string
  index: number | undefined
}

export type ToLeader =
  /** The first message of a replica. */
  | { kind: 'join'; node: string; pid: number; version: number }
  /**
   * A write. The writes of a node are numbered. All writes up to `done` have been answered. `since`: the write was sent
   * to an earlier leader at this time, in milliseconds of the system's monotonic clock, and may have been stored.
   */
  | { kind: 'write'; number: number; done: number; since?: number; request: WriteRequest }
  /** The node is about to end. */
  | { kind: 'leave' }
  /** A message to another node; without `to`, to all other nodes. */
  | { kind: 'peer'; to?: string; body: unknown }

export type ToReplica =
  /** The first message of a process that holds the folder. `replicas`: the process ids of its replicas. */
  | { kind: 'hello'; pid: number; replicas: number[]; version: number }
  /** The answer to `join`. The replica gets every later transaction. */
  | { kind: 'joined'; node: string; commits: number }
  | { kind: 'change'; change: ReplicatedChange }
  | { kind: 'written'; number: number; result: WriteResult }
  | { kind: 'refused'; number: number; refusal: Refusal }
  /** Sent regularly, and when the failure changes. */
  | { kind: 'beat'; failure: string | undefined }
  /** All nodes, after each change. `left`: the node that has ended. */
  | { kind: 'nodes'; nodes: string[]; left?: string }
  | { kind: 'peer'; from: string; body: unknown }
