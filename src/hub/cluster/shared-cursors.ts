/**
 * The named cursors of all processes. Their records are in the log, so every process reads them. One process writes the
 * cursors of a subject: two processes that read and then write could move a cursor backwards.
 *
 * For seconds after a process has started or ended, two processes may both write the cursors of a subject. A cursor
 * could then move backwards, and its subscriber would read events again.
 */
import { createHash } from 'node:crypto'
import type { ClusterMessage } from '../../cluster/cluster.js'
import { HubError, type HubErrorCode } from '../../model/hub-error.js'
import {
  either,
  isAnything,
  isBoolean,
  isMissing,
  isNumber,
  isString,
  oneOf,
  shapeOf,
  tupleOf,
} from '../../model/shape.js'
import type { CursorName, NamedCursor, NamedCursors } from '../named-cursors.js'
import type { Messenger } from './messenger.js'

type Writing = 'acknowledge' | 'use' | 'touch' | 'delete'

interface CursorMessage extends ClusterMessage {
  kind: 'cursor'
  method: Writing
  args: unknown[]
}

type CursorAnswer = { value: unknown } | { error: { code: HubErrorCode; message: string } }

const isCursorName = shapeOf<CursorName>({ subject: isString, name: isString })
const isBody = either(
  shapeOf({ method: oneOf('acknowledge'), args: tupleOf<[CursorName, number]>(isCursorName, isNumber) }),
  either(
    shapeOf({ method: oneOf('use'), args: tupleOf<[CursorName, number, boolean]>(isCursorName, isNumber, isBoolean) }),
    shapeOf({ method: oneOf('touch', 'delete'), args: tupleOf<[CursorName]>(isCursorName) }),
  ),
)
/** The refusals of `NamedCursors`. */
const isCode = oneOf<HubErrorCode>('too-many-cursors', 'log-unavailable', 'hub-closed')
const isAnswer = either(
  shapeOf({ error: shapeOf({ code: isCode, message: isString }) }),
  shapeOf({ value: isAnything, error: isMissing }), // JSON omits a value of `undefined`
)

export class SharedCursors {
  readonly #messenger: Messenger
  readonly #own: NamedCursors

  constructor(messenger: Messenger, own: NamedCursors) {
    this.#messenger = messenger
    this.#own = own
    messenger.onRequest<CursorMessage>('cursor', isBody, ({ method, args }) => this.#answer(method, args))
  }

  /** As `NamedCursors.get`. */
  get(cursor: CursorName): Promise<NamedCursor | undefined> {
    return this.#own.get(cursor)
  }

  /** As `NamedCursors.list`. */
  list(subject: string): Promise<NamedCursor[]> {
    return this.#own.list(subject)
  }

  /** As `NamedCursors.acknowledge`. */
  acknowledge(cursor: CursorName, sequence: number): Promise<NamedCursor> {
    return this.#run('acknowledge', cursor, sequence) as Promise<NamedCursor>
  }

  /** As `NamedCursors.use`. */
  use(cursor: CursorName, sequence: number, isProof: boolean): Promise<void> {
    return this.#run('use', cursor, sequence, isProof) as Promise<void>
  }

  /** As `NamedCursors.touch`. */
  touch(cursor: CursorName): Promise<void> {
    return this.#run('touch', cursor) as Promise<void>
  }

  /** As `NamedCursors.delete`. */
  delete(cursor: CursorName): Promise<boolean> {
    return this.#run('delete', cursor) as Promise<boolean>
  }

  async #run(method: Writing, cursor: CursorName, ...rest: unknown[]): Promise<unknown> {
    const args = [cursor, ...rest]
    const writer = this.#writerOf(cursor.subject)
    if (writer === this.#messenger.node) return this.#perform(method, args)
    const message = { kind: 'cursor', method, args } satisfies CursorMessage
    let answer: CursorAnswer
    try {
      answer = await this.#messenger.request(writer, message, isAnswer)
    } catch {
      return this.#perform(method, args) // the writer has gone or does not answer
    }
    if ('error' in answer) throw new HubError(answer.error.code, answer.error.message)
    return answer.value
  }

  async #answer(method: Writing, args: unknown[]): Promise<CursorAnswer> {
    try {
      return { value: await this.#perform(method, args) }
    } catch (err) {
      if (!(err instanceof HubError)) throw err
      return { error: { code: err.code, message: err.message } }
    }
  }

  #perform(method: Writing, args: unknown[]): Promise<unknown> {
    return (this.#own[method] as (...args: unknown[]) => Promise<unknown>).call(this.#own, ...args)
  }

  /** Returns the node that writes the cursors of a subject (rendezvous hashing). */
  #writerOf(subject: string): string {
    if (this.#messenger.isAlone) return this.#messenger.node
    const ranked = this.#messenger.nodes().map((node) => ({ node, rank: rankOf(node, subject) }))
    return ranked.reduce((first, other) => (other.rank > first.rank ? other : first)).node
  }
}

/** Each subject ranks the nodes in an order of its own, so a node that starts or ends moves only its own subjects. */
function rankOf(node: string, subject: string): string {
  return createHash('sha256').update(`${node} ${subject}`).digest('base64url')
}
