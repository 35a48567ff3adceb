/** A replica of a folder that speaks the messages itself. It may send a write again that was answered. */
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { MessageSocket } from '../../src/log/lmdb/message-socket.js'
import { VERSION, type ToLeader, type ToReplica, type WriteRequest } from '../../src/log/lmdb/messages.js'
import { poll } from './deadline.js'

/** The name of the process that these connections speak for. */
const NODE = 'a'

/** A connection of a replica that has joined. */
export interface BareReplica {
  /** @param since the time of an earlier request: the write is sent again */
  write(number: number, request: WriteRequest, since?: number): void
  /** Returns the answer to a write. */
  answer(number: number): Promise<ToReplica>
  /** Returns the first message that is accepted. */
  find(accepts: (message: ToReplica) => boolean): Promise<ToReplica>
  /** Ends the connection at the replica's side. */
  destroy(): void
  readonly isClosed: boolean
}

/** Joins the leader of a folder. */
export async function joinLeader(t: Test, folder: string): Promise<BareReplica> {
  const name = readdirSync(folder).find((file) => file.endsWith('.sock'))!
  const socket = new MessageSocket<ToLeader, ToReplica>(connect(join(folder, name)).pause())
  t.teardown(() => socket.destroy())
  const received: ToReplica[] = []
  socket.receive(
    (message) => received.push(message),
    () => undefined,
  )
  const find = (accepts: (message: ToReplica) => boolean) =>
    poll(
      async () => received.find(accepts),
      () => `the leader does not answer: ${received.map(({ kind }) => kind).join(', ')}`,
    )
  socket.send({ kind: 'join', node: NODE, pid: process.pid, version: VERSION })
  await find(({ kind }) => kind === 'joined')
  return {
    write: (number, request, since) =>
      socket.send({ kind: 'write', number, done: 0, request, ...(since !== undefined && { since }) }),
    answer: (number) =>
      find((message) => (message.kind === 'written' || message.kind === 'refused') && message.number === number),
    find,
    destroy: () => socket.destroy(),
    get isClosed() {
      return socket.isClosed
    },
  }
}
