/** Serves an example: its page, built with Vite, and its own routes. */
import { setMaxListeners } from 'node:events'
import { fileURLToPath } from 'node:url'
import staticFiles from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifySchemaValidationError } from 'fastify'
import { HubError } from 'fanfare-client'
import { build } from 'vite'
import { loadExample, type ExampleName } from './example.js'
import type { HubAccess } from './hub-access.js'

/** The tags before the title of every page. The style sheet of an example comes after the shared one. */
const HEAD = `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../shared/style.css">
`

/** Builds the page, which gets the URL of the hub, and creates the application, which does not listen yet. */
export async function buildExample(name: ExampleName, access: HubAccess, speed = 1): Promise<FastifyInstance> {
  const folder = fileURLToPath(new URL(`../../dist/examples/${name}`, import.meta.url))
  await build({
    root: fileURLToPath(new URL(`../${name}`, import.meta.url)),
    configFile: false,
    logLevel: 'warn',
    base: './',
    define: { 'import.meta.env.HUB_URL': JSON.stringify(access.publicUrl) },
    plugins: [{ name: 'head', transformIndexHtml: { order: 'pre', handler: addHead } }],
    build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
  })
  const app = Fastify({
    logger: { level: 'warn' },
    forceCloseConnections: true,
    // Values are neither converted (such as `null` to 0) nor dropped. `verbose` passes the schema to `wordsOf`.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, verbose: true } },
    schemaErrorFormatter: wordsOf,
  })
  await app.register(staticFiles, { root: folder })
  // a page shows the message; `status` is 0 if the hub could not be reached
  app.setErrorHandler((error, _request, reply) =>
    error instanceof HubError ? reply.code(error.status || 503).send({ message: error.message }) : reply.send(error),
  )
  const example = await loadExample(name)
  const ending = new AbortController()
  setMaxListeners(0, ending.signal) // many listeners may wait for the end, which is not a leak
  app.addHook('preClose', async () => ending.abort())
  function watch(work: Promise<unknown>, failure: string): void {
    work.catch((err: unknown) => {
      if (!ending.signal.aborted) app.log.error(err, failure)
    })
  }
  await example.serve(app, { ...access, watch, speed, ending: ending.signal })
  return app
}

function addHead(page: string): string {
  return page.replace('<title>', `${HEAD}$&`)
}

/** The part of an error that `verbose` adds. */
interface Verbose {
  /** The schema that the value violates: that of a member, or that of the body for a missing or unknown member. */
  parentSchema?: { description?: string; properties?: Record<string, { description?: string }> }
}

/** Returns the refusal of a body: the `description` of the member, or of the body, in the schema. */
function wordsOf([error]: FastifySchemaValidationError[]): Error {
  const { keyword, instancePath, message, params, parentSchema } = error as FastifySchemaValidationError & Verbose
  const wanted = keyword === 'required' ? parentSchema?.properties?.[String(params['missingProperty'])] : parentSchema
  return new Error(wanted?.description ?? `${instancePath.slice(1) || 'The body'} ${message ?? 'is not valid'}.`)
}
