/** The types of an OpenAPI document, as far as this package reads it. */
import type { Parameter } from './parameters.js'
import type { Described } from './responses.js'

export interface OpenApi {
  openapi: string
  info: { title: string; version: string; description: string }
  servers: { url: string }[]
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, DescribedOperation>>
  components: { schemas: Record<string, object | boolean>; securitySchemes: Record<string, object> }
  /** The schemas of typed topics: references by pattern, or by pattern and type. */
  'x-typed-topics'?: Record<string, unknown>
}

export interface DescribedOperation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security?: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: Described
  responses: Record<string, Described>
}
