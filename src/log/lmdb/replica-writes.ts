/** The writes that other processes request from the leader. Each is performed once, also if it is requested again. */
import { HubError } from '../../model/hub-error.js'
import { toAnswer, type Answers, type Origin } from './answers.js'
import type { ToLeader, WriteRequest, WriteResult } from './messages.js'
import type { RecordWriter } from './record-writer.js'
import { mayBeStored } from './refusal.js'
import type { Writer } from './writer.js'

/** The time in which a write may be sent again to another leader, in milliseconds. */
export const RETRY_TIME = 30_000

export type Write = Extract<ToLeader, { kind: 'write' }>

export interface ReplicaWritesSource {
  writer: Writer
  records: RecordWriter
  answers: Answers
}

export class ReplicaWrites {
  readonly #source: ReplicaWritesSource
  /** The writes that are being performed, by node and number. */
  readonly #running = new Map<string, Promise<WriteResult>>()

  constructor(source: ReplicaWritesSource) {
    this.#source = source
  }

  /**
   * Performs a write once. A replica that has lost its connection, but not its leader, sends a write again that may
   * still be running: both requests get the result of the first.
   * @throws HubError
   */
  perform(node: string, write: Write): Promise<WriteResult> {
    const key = `${node}/${write.number}`
    let running = this.#running.get(key)
    if (!running) {
      running = this.#performNew(node, write).finally(() => this.#running.delete(key))
      this.#running.set(key, running)
    }
    return running
  }

  async #performNew(node: string, { number, done, since, request }: Write): Promise<WriteResult> {
    if (since !== undefined) {
      const answer = this.#source.answers.find(node, number)
      if (answer !== undefined) return answer
      if (systemTime() - since > RETRY_TIME)
        throw mayBeStored('The write was sent to a process that has ended.', request)
    }
    return this.#store(request, { node, number, done })
  }

  async #store(request: WriteRequest, origin: Origin): Promise<WriteResult> {
    const { writer, records } = this.#source
    if ('append' in request)
      return toAnswer(await writer.append(request.append, { expected: request.expected }, origin))
    if ('swap' in request) return records.swap(request.swap, request.expected, request.value, origin)
    if ('purge' in request) return writer.purge(request.purge, origin)
    if ('catchUp' in request) return undefined
    if ('delete' in request) await records.delete(request.delete, origin)
    else await records.put(request.put[0], request.put[1], { ttl: request.put[2] }, origin)
    return true
  }
}

/** Returns the time of the system's monotonic clock in milliseconds. It is the same in all processes of a machine. */
export function systemTime(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** Returns the error of a failed write as a refusal for the process that requested it. */
export function toRefusal(err: unknown): { code: HubError['code']; message: string; index: number | undefined } {
  const known = err instanceof HubError ? err : new HubError('log-unavailable', String(err), { cause: err })
  const { code, message, index } = known
  return { code, message, index }
}
