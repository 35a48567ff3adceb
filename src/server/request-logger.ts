/**
 * The logger of a request. pino prints the request's id when it creates a child logger, and few requests log anything:
 * this logger creates its child with its first line.
 */
import type { FastifyBaseLogger } from 'fastify'

type Bindings = Parameters<FastifyBaseLogger['child']>[0]
type ChildOptions = Parameters<FastifyBaseLogger['child']>[1]
type Line = [value: unknown, ...rest: unknown[]]
type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

export class RequestLogger implements FastifyBaseLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: Bindings
  readonly #options: ChildOptions
  #own: FastifyBaseLogger | undefined

  /** As `child` of the parent. */
  constructor(parent: FastifyBaseLogger, bindings: Bindings, options?: ChildOptions) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get #child(): FastifyBaseLogger {
    return (this.#own ??= this.#parent.child(this.#bindings, this.#options))
  }

  get level(): string {
    return this.#child.level
  }

  set level(level: string) {
    this.#child.level = level
  }

  child(bindings: Bindings, options?: ChildOptions): FastifyBaseLogger {
    return this.#child.child(bindings, options)
  }

  fatal(...line: Line): void {
    this.#print('fatal', line)
  }

  error(...line: Line): void {
    this.#print('error', line)
  }

  warn(...line: Line): void {
    this.#print('warn', line)
  }

  info(...line: Line): void {
    this.#print('info', line)
  }

  debug(...line: Line): void {
    this.#print('debug', line)
  }

  trace(...line: Line): void {
    this.#print('trace', line)
  }

  silent(): void {
    // prints nothing, as pino's own
  }

  #print(level: Level, line: Line): void {
    const child = this.#child as unknown as Record<Level, (...line: Line) => void> // each method has several signatures
    child[level](...line)
  }
}
