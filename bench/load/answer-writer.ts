/** Writes answers to finite topics: one token an append, at a fixed rate. */
import { connect, type Socket } from 'node:net'
import { createToken } from '../token.js'
import { tokenOf } from './answer-text.js'
import { now } from './clock.js'
import { requestHead } from './request.js'
import { Responses } from './responses.js'

export interface AnswerPlan {
  port: number
  /** The path of the finite topic, below `/streams`. */
  path: string
  tokens: number
  /** Tokens per second. */
  rate: number
}

export interface WrittenAnswer {
  /** The whole answer. */
  text: string
}

/**
 * Writes one answer, and closes its topic. A token waits for the response to the one before, so that none overtakes
 * another.
 * @throws Error if an append is refused or the connection ends
 */
export async function writeAnswer({ port, path, tokens, rate }: AnswerPlan): Promise<WrittenAnswer> {
  const connection = await WriterConnection.open(port)
  const parts: Buffer[] = []
  const startedAt = now()
  for (let number = 0; number < tokens; number++) {
    const wait = startedAt + (number * 1e6) / rate - now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait / 1e3))
    const token = tokenOf(number, now())
    parts.push(token)
    await connection.post(path, token)
  }
  await connection.post(path, Buffer.alloc(0), ['stream-closed: true'])
  connection.close()
  return { text: Buffer.concat(parts).toString() }
}

class WriterConnection {
  readonly #socket: Socket
  readonly #responses = new Responses()
  readonly #authorization = createToken('writer')
  #waiting: { resolve: () => void; reject: (err: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('error', (err) => this.#fail(err))
    socket.on('close', () => this.#fail(new Error('the connection of the writer was closed')))
  }

  static open(port: number): Promise<WriterConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(new WriterConnection(socket)))
      socket.once('error', reject)
    })
  }

  /** Appends bytes, and resolves with the response. */
  post(path: string, body: Buffer, headers: string[] = []): Promise<void> {
    const type = body.length > 0 ? ['content-type: text/plain'] : []
    const head = requestHead(`POST /streams/${path} HTTP/1.1`, this.#authorization, [
      ...type,
      `content-length: ${body.length}`,
      ...headers,
    ])
    this.#socket.write(Buffer.concat([Buffer.from(head), body]))
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy()
  }

  #read(bytes: Buffer): void {
    this.#responses.read(bytes, bytes.length)
    const { failure } = this.#responses
    if (failure === undefined) this.#waiting?.resolve()
    else this.#fail(new Error(`an append was refused: ${failure}`))
  }

  #fail(err: Error): void {
    this.#waiting?.reject(err)
  }
}
