/** Traces with an SDK in this process, and without one. */
import { context, trace, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import t, { type Test } from 'tap'
import { Traces } from '../../src/observe/traces.js'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const PARENT = `00-${TRACE_ID}-${SPAN_ID}-01`

const none = () => ({})
const failureOf = (err: unknown) => {
  const { message } = err as Error
  return { code: message, message, isFault: message === 'fault' }
}
const open = () => new Traces('1.2.3', failureOf)

/** Registers an SDK until the end of the test. Returns the spans that have ended. */
function register(t: Test, isOff = false): () => ReadableSpan[] {
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(isOff && { sampler: new AlwaysOffSampler() }),
  })
  provider.register()
  t.teardown(async () => {
    trace.disable()
    context.disable()
    await provider.shutdown()
  })
  return () => exporter.getFinishedSpans()
}

await t.test('without an SDK a valid trace of a request is handed on, and nothing else happens', async (t) => {
  const traces = open()
  await traces.prepare()
  t.equal(traces.begin('publish', {}, none), undefined)
  t.equal(traces.begin('publish', { traceparent: 'nonsense' }, none), undefined)
  const passed = traces.begin('publish', { traceparent: PARENT, tracestate: 'a=1' }, () => {
    throw new Error('not described')
  })
  t.strictSame(passed?.context, { traceparent: PARENT, tracestate: 'a=1' })
  t.equal(await passed?.run(async () => 7), 7)
  t.strictSame(traces.begin('publish', { traceparent: PARENT, tracestate: 'é' }, none)?.context, {
    traceparent: PARENT,
  })
})

await t.test('a span has the trace of the request as its parent, and ends with the work', async (t) => {
  const spans = register(t)
  const traces = open()
  await traces.prepare()
  const headers = { traceparent: PARENT, tracestate: 'a=1' }
  const begun = traces.begin('publish', headers, () => ({ topic: 'a' }))!
  t.equal(spans().length, 0)
  const inside = await begun.run(
    async () => {
      await Promise.resolve()
      return trace.getActiveSpan()?.spanContext().spanId
    },
    () => ({ result: 1 }),
  )
  const [span] = spans()
  const own = span!.spanContext()
  t.equal(span!.name, 'publish')
  t.equal(span!.kind, SpanKind.SERVER)
  t.equal(own.traceId, TRACE_ID)
  t.equal(span!.parentSpanContext?.spanId, SPAN_ID)
  t.strictSame(span!.attributes, { 'messaging.system': 'fanfare', topic: 'a', result: 1 })
  t.match(span!.instrumentationScope, { name: 'fanfare', version: '1.2.3' })
  t.equal(inside, own.spanId, 'the span is active during the work')
  t.strictSame(begun.context, { traceparent: `00-${TRACE_ID}-${own.spanId}-01`, tracestate: 'a=1' })
})

await t.test('a span without a trace in the request begins a trace', async (t) => {
  const spans = register(t)
  const traces = open()
  await traces.prepare()
  for (const headers of [{}, { traceparent: 'nonsense' }]) {
    const begun = traces.begin('subscribe', headers, none)!
    await begun.run(async () => undefined)
    const span = spans().at(-1)!
    t.equal(span.parentSpanContext, undefined)
    t.equal(begun.context?.traceparent, `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`)
  }
})

await t.test('the span of an instrumentation is the parent, if there is one', async (t) => {
  const spans = register(t)
  const traces = open()
  await traces.prepare()
  await trace.getTracer('http').startActiveSpan('GET', async (outer) => {
    await traces.begin('publish', { traceparent: PARENT }, none)!.run(async () => undefined)
    outer.end()
  })
  const [inner, outer] = spans()
  t.equal(inner!.parentSpanContext?.spanId, outer!.spanContext().spanId)
  t.equal(inner!.kind, SpanKind.INTERNAL)
})

await t.test('a failure is named, and only a fault of the hub is an error', async (t) => {
  const spans = register(t)
  const traces = open()
  await traces.prepare()
  for (const message of ['refusal', 'fault'])
    await t.rejects(
      traces.begin('publish', {}, none)!.run(() => Promise.reject(new Error(message))),
      { message },
    )
  await t.rejects(
    traces.begin('publish', {}, none)!.run(() => {
      throw new Error('refusal')
    }),
    { message: 'refusal' },
    'an error that is thrown at once is named too',
  )
  t.strictSame(
    spans().map(({ attributes, status }) => [attributes['error.type'], status.code]),
    [
      ['refusal', SpanStatusCode.UNSET],
      ['fault', SpanStatusCode.ERROR],
      ['refusal', SpanStatusCode.UNSET],
    ],
  )
})

await t.test('a refusal before the work begins has a span, unless its error has already ended one', async (t) => {
  const spans = register(t)
  const traces = open()
  traces.refuse({ name: 'publish', attributes: none }, {}, new Error('early'), 5)
  t.strictSame(spans(), [], 'the first request makes the hub load OpenTelemetry')
  await traces.prepare()
  const refusal = new Error('refusal')
  t.notOk(traces.hasTold(refusal))
  await t.rejects(traces.begin('publish', {}, none)!.run(() => Promise.reject(refusal)))
  t.ok(traces.hasTold(refusal))
  traces.refuse(
    { name: 'append', attributes: () => ({ topic: 'a' }) },
    { traceparent: PARENT },
    new Error('early'),
    5_000,
  )
  const span = spans().at(-1)!
  t.match(span, { name: 'append', attributes: { topic: 'a', 'error.type': 'early' } })
  t.equal(span.spanContext().traceId, TRACE_ID)
  t.ok(span.duration[0] >= 4, 'the span begins with the request')
})

await t.test('the trace of the active span is known', async (t) => {
  const traces = open()
  t.equal(traces.active, undefined)
  register(t)
  await traces.prepare()
  t.equal(traces.active, undefined)
  await trace.getTracer('app').startActiveSpan('work', async (span) => {
    t.match(traces.active, { traceparent: new RegExp(`-${span.spanContext().spanId}-01$`) })
    span.end()
  })
})

await t.test('a trace that is not recorded is handed on as not recorded', async (t) => {
  const spans = register(t, true)
  const traces = open()
  await traces.prepare()
  const begun = traces.begin('publish', { traceparent: PARENT }, none)!
  await begun.run(async () => undefined)
  t.match(begun.context?.traceparent, new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`))
  t.strictSame(spans(), [])
})

await t.test('an SDK that registers itself later is found', async (t) => {
  const traces = open()
  await traces.prepare()
  const spans = register(t)
  t.equal(traces.begin('publish', {}, none), undefined, 'the first request makes the hub load OpenTelemetry')
  await traces.prepare()
  await traces.begin('publish', {}, none)!.run(async () => undefined)
  t.equal(spans().length, 1)
})
