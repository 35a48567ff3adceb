/** Serves an example: its page, built with Vite, and its own routes. */
import { fileURLToPath } from 'node:url'
import staticFiles from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifySchemaValidationError } from 'fastify'
import { build } from 'vite'
import { loadExample, type ExampleName } from './example.js'
import type { HubClient } from './hub-client.js'

/**
 * Builds the page and makes the application, which does not listen yet. Beside the example's own routes it has
 * `GET /hub`, which tells the page where the hub is.
 */
export async function buildExample(name: ExampleName, hub: HubClient, speed = 1): Promise<FastifyInstance> {
  const folder = fileURLToPath(new URL(`../../dist/examples/${name}`, import.meta.url))
  await build({
    root: fileURLToPath(new URL(`../${name}`, import.meta.url)),
    configFile: false,
    logLevel: 'warn',
    base: './',
    build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
  })
  const app = Fastify({ logger: { level: 'warn' }, forceCloseConnections: true, ajv: { customOptions: { verbose: true } }, schemaErrorFormatter: wordsOf })
  await app.register(staticFiles, { root: folder })
  app.get('/hub', async () => ({ url: hub.publicUrl }))
  const example = await loadExample(name)
  const ending = new AbortController()
  app.addHook('preClose', async () => ending.abort())
  await example.serve(app, { hub, speed, ending: ending.signal })
  return app
}

/** Why a body is refused: what its schema says of the member, if it does (`verbose` hands the schema over). */
function wordsOf([error]: FastifySchemaValidationError[]): Error {
  const { instancePath, message = 'is not valid', parentSchema } = error as FastifySchemaValidationError & { parentSchema?: { description?: string } }
  return new Error(parentSchema?.description ?? `${instancePath.slice(1) || 'The body'} ${message}.`)
}
