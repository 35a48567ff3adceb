/**
 * Spans of OpenTelemetry, if the process has an SDK. Without one, no code of OpenTelemetry is loaded: the hub looks for
 * the symbol under which an SDK registers itself.
 */
import type * as OpenTelemetry from '@opentelemetry/api'
import type { Attributes, Context, Span, SpanContext, SpanOptions } from '@opentelemetry/api'
import { wallNow } from '../model/clock.js'
import {
  parseTraceparent,
  printTraceparent,
  readTracestate,
  type SpanIds,
  type TraceContext,
} from '../model/trace-context.js'

type Api = typeof OpenTelemetry

/** Where an SDK registers itself: `GLOBAL_OPENTELEMETRY_API_KEY` of `@opentelemetry/api`. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** The headers of a request. `traceparent` and `tracestate` name its trace. */
export type TraceHeaders = Readonly<Record<string, unknown>>

/** What is known of a failure. */
export interface Failure {
  /** A stable code, for `error.type`. */
  code: string
  message: string
  /** Whether the hub, rather than the client, is at fault. */
  isFault: boolean
}

/** The names of spans. They have few values, as OpenTelemetry asks: topics are attributes. */
export type SpanName =
  'publish' | 'publish batch' | 'publish upload' | 'create' | 'append' | 'append upload' | 'subscribe'

/** The name and the attributes of the span of a request. */
export interface RequestSpan {
  name: SpanName
  attributes: () => Attributes
}

/** A piece of work that belongs to a trace. */
export interface Trace {
  /** The attributes for the published events; `undefined`: there is no trace. */
  readonly context: TraceContext | undefined
  /**
   * Runs the work. A span, if there is one, ends with it.
   * @param describe returns further attributes of the span
   */
  run<T>(work: () => Promise<T>, describe?: (result: T) => Attributes): Promise<T>
}

export class Traces {
  readonly #version: string
  readonly #failureOf: (err: unknown) => Failure
  #api: Api | undefined
  #loading: Promise<void> | undefined
  /** The errors that have ended a span. */
  readonly #told = new WeakSet<object>()

  /** @param version the version of the hub */
  constructor(version: string, failureOf: (err: unknown) => Failure) {
    this.#version = version
    this.#failureOf = (err) => {
      if (typeof err === 'object' && err !== null) this.#told.add(err)
      return failureOf(err)
    }
  }

  /** Loads OpenTelemetry if the process has an SDK. An SDK that comes later is found by the next request. */
  async prepare(): Promise<void> {
    if (this.#api || !isRegistered()) return
    await (this.#loading ??= import('@opentelemetry/api').then((api) => void (this.#api = api)))
  }

  /**
   * Begins a span.
   * @param headers of the request
   * @param attributes of the span
   * @returns `undefined`: there is neither an SDK nor a trace in the headers
   */
  begin(name: SpanName, headers: TraceHeaders, attributes: () => Attributes): Trace | undefined {
    if (this.#api) return this.#span(this.#api, name, headers, attributes())
    if (isRegistered()) void this.prepare()
    const traceparent = headers['traceparent']
    if (traceparent === undefined) return undefined
    const ids = parseTraceparent(traceparent)
    return ids && new PassedTrace(contextOf(ids, readTracestate(headers['tracestate'])))
  }

  /** Whether an error has ended a span. */
  hasTold(err: unknown): boolean {
    return this.#told.has(err as object)
  }

  /**
   * Makes the span of a request that was refused before its span has begun.
   * @param headers of the request
   * @param elapsed the time since the beginning of the request, in milliseconds
   */
  refuse({ name, attributes }: RequestSpan, headers: TraceHeaders, err: unknown, elapsed: number): void {
    if (this.#api) this.#span(this.#api, name, headers, attributes(), { startTime: wallNow() - elapsed }).fail(err)
    else if (isRegistered()) void this.prepare()
  }

  /** The trace of the span in which the application's code runs; `undefined`: there is none. */
  get active(): TraceContext | undefined {
    if (!this.#api) {
      if (isRegistered()) void this.prepare()
      return undefined
    }
    const span = this.#api.trace.getSpan(this.#api.context.active())?.spanContext()
    return span && this.#api.isSpanContextValid(span) ? contextOfSpan(span) : undefined
  }

  #span(api: Api, name: SpanName, headers: TraceHeaders, attributes: Attributes, options: SpanOptions = {}): SpanTrace {
    const tracer = api.trace.getTracer('fanfare', this.#version)
    const active = api.context.active()
    const ids = parseTraceparent(headers['traceparent'])
    const state = readTracestate(headers['tracestate'])
    // a server span of an instrumentation has read the headers already
    const isInside = api.trace.getSpan(active) !== undefined
    const parent = isInside || !ids ? active : remoteParent(api, active, ids, state)
    const kind = isInside ? api.SpanKind.INTERNAL : api.SpanKind.SERVER
    const all = { 'messaging.system': 'fanfare', ...attributes }
    const span = tracer.startSpan(name, { ...options, kind, attributes: all }, parent)
    const own = span.spanContext()
    const context = api.isSpanContextValid(own) ? contextOfSpan(own) : ids && contextOf(ids, state)
    return new SpanTrace(api, span, api.trace.setSpan(parent, span), context, this.#failureOf)
  }
}

/** The trace of a request in a process without an SDK: it is handed on as it came. */
class PassedTrace implements Trace {
  readonly context: TraceContext

  constructor(context: TraceContext) {
    this.context = context
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return work()
  }
}

class SpanTrace implements Trace {
  readonly context: TraceContext | undefined
  readonly #api: Api
  readonly #span: Span
  readonly #active: Context
  readonly #failureOf: (err: unknown) => Failure

  constructor(
    api: Api,
    span: Span,
    active: Context,
    context: TraceContext | undefined,
    failureOf: (err: unknown) => Failure,
  ) {
    this.#api = api
    this.#span = span
    this.#active = active
    this.context = context
    this.#failureOf = failureOf
  }

  async run<T>(work: () => Promise<T>, describe?: (result: T) => Attributes): Promise<T> {
    try {
      const result = await this.#api.context.with(this.#active, work)
      if (describe) this.#span.setAttributes(describe(result))
      return result
    } catch (err) {
      this.#fail(err)
      throw err
    } finally {
      this.#span.end()
    }
  }

  /** Ends the span with an error. */
  fail(err: unknown): void {
    this.#fail(err)
    this.#span.end()
  }

  /**
   * A refusal is the fault of the client: only the server's faults are errors of a server span (OpenTelemetry,
   * "Semantic Conventions for HTTP Spans", Status).
   */
  #fail(err: unknown): void {
    const { code, message, isFault } = this.#failureOf(err)
    this.#span.setAttribute('error.type', code)
    if (isFault) this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message })
  }
}

function isRegistered(): boolean {
  return (globalThis as { [REGISTERED]?: { trace?: unknown } })[REGISTERED]?.trace !== undefined
}

function contextOfSpan({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  return contextOf({ traceId, spanId, flags: traceFlags }, traceState?.serialize())
}

function contextOf(ids: SpanIds, tracestate: string | undefined): TraceContext {
  return { traceparent: printTraceparent(ids), ...(tracestate ? { tracestate } : {}) }
}

function remoteParent(api: Api, active: Context, { traceId, spanId, flags }: SpanIds, state: string | undefined) {
  return api.trace.setSpanContext(active, {
    traceId,
    spanId,
    traceFlags: flags,
    isRemote: true,
    ...(state !== undefined && { traceState: api.createTraceState(state) }),
  })
}
