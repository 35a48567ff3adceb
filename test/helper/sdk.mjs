/** An SDK of OpenTelemetry for `node --import`: writes each span as a line of JSON to the file SPANS. */
import { appendFileSync } from 'node:fs'
import { env } from 'node:process'
import { SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const exporter = {
  export(spans, done) {
    for (const span of spans) {
      const { name, kind, attributes, status, parentSpanContext } = span
      const { traceId, spanId } = span.spanContext()
      const line = { name, kind, attributes, status, traceId, spanId, parent: parentSpanContext?.spanId }
      appendFileSync(env.SPANS, `${JSON.stringify(line)}\n`)
    }
    done({ code: 0 })
  },
  async shutdown() {},
}
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
