/** An example: the settings of its hub, and its own routes. */
import type { FastifyInstance } from 'fastify'
import type { HubAccess } from './hub-access.js'

export interface Example {
  /** Settings of the hub (docs/settings.md), besides those of every example. */
  settings: Record<string, string>
  /** Adds the routes, and starts the example's other work. */
  serve: (app: FastifyInstance, context: ExampleContext) => void | Promise<void>
}

export interface ExampleContext extends HubAccess {
  /** Aborted when the example ends. All background work must end then. */
  ending: AbortSignal
  /** Logs a failure of background work, with words of yours, unless the example is ending. */
  watch: (work: Promise<unknown>, failure: string) => void
  /** The speed of background work: 1, or more in tests. */
  speed: number
}

/** The names of the examples: each is a folder with a page (`index.html`) and a server (`server.ts`). */
export const NAMES = [
  'nests',
  'facts',
  'messages',
  'clock',
  'notifications',
  'metrics',
  'chat',
  'inbox',
  'board',
  'progress',
  'assistant',
] as const

export type ExampleName = (typeof NAMES)[number]

/** Loads an example's server. */
export async function loadExample(name: ExampleName): Promise<Example> {
  return ((await import(`../${name}/server.js`)) as { default: Example }).default
}
