/** What an example is: the settings that it needs of a hub, and its own few routes. */
import type { FastifyInstance } from 'fastify'
import type { HubClient } from './hub-client.js'

export interface Example {
  /** Settings of the hub, beside those that every example has (docs/settings.md). */
  settings: Record<string, string>
  /** Adds the routes, and whatever else the example's server does. */
  serve: (app: FastifyInstance, context: ExampleContext) => void | Promise<void>
}

export interface ExampleContext {
  hub: HubClient
  /** Aborted when the example ends: whatever goes on by itself ends too. */
  ending: AbortSignal
  /** How many times faster than in life things happen by themselves: 1, and more in tests. */
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
] as const

export type ExampleName = (typeof NAMES)[number]

/** Loads an example's server. */
export async function loadExample(name: ExampleName): Promise<Example> {
  return ((await import(`../${name}/server.ts`)) as { default: Example }).default
}
