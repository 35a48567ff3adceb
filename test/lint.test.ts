/**
 * Lint enforces the directions of the folders, and docs/architecture.md has them. No files import each other in a
 * circle.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ESLint } from 'eslint'
import t from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { DIRECTIONS } = (await import(new URL('../eslint.config.js', import.meta.url).href)) as {
  DIRECTIONS: Record<string, string[]>
}
const RULES = [
  'import-x/no-restricted-paths',
  'no-restricted-syntax',
  'no-restricted-imports',
  '@typescript-eslint/no-restricted-imports',
  '@typescript-eslint/consistent-type-imports',
]

/** These rules need no types, and the types of the project take long to load. */
const eslint = new ESLint({
  cwd: ROOT,
  overrideConfig: { files: ['**/*.{ts,tsx}'], languageOptions: { parserOptions: { projectService: false } } },
  ruleFilter: ({ ruleId }) => RULES.includes(ruleId),
})

/** Returns the rules that refuse a code as the content of a file. */
async function refusals(file: string, code: string): Promise<unknown[]> {
  const [result] = await eslint.lintText(code, { filePath: `${ROOT}${file}` })
  return result!.messages.map(({ ruleId, message }) => ruleId ?? message)
}

const [PATHS, SYNTAX, BUNDLED, PACKAGES, TYPES] = RULES

const REFUSED: [file: string, code: string, rule: string | undefined][] = [
  ['src/server/logger.ts', "import '../settings.js'", PATHS],
  ['src/schemas/common.ts', "import '../settings.js'", PATHS],
  ['src/model/topic.ts', "import '../errors.js'", PATHS],
  ['src/model/topic.ts', "import '../wire/sse.js'", PATHS],
  ['src/wire/sse.ts', "import type { Feed } from '../hub/feed.js'", PATHS],
  ['src/cluster/single.ts', "import '../log/log.js'", PATHS],
  ['src/nats/nats-link.ts', "import '../log/log.js'", PATHS],
  ['src/hub/hub.ts', "import '../nats/nats-link.js'", PATHS],
  ['src/hub/feed.ts', "import type { MemoryLog } from '../log/memory/memory-log.js'", PATHS],
  ['src/hub/feed.ts', "import type { FileLog } from '../log/lmdb/lmdb-log.js'", PATHS],
  ['src/hub/feed.ts', "import '../log/open.js'", PATHS],
  ['src/hub/cluster/peers.ts', "import '../../cluster/folder.js'", PATHS],
  ['src/model/topic.ts', "export type Hub = import('../hub/hub.js').Hub", TYPES],
  ['src/hub/feed.ts', "export type Request = import('node:http').IncomingMessage", TYPES],
  ['src/log/lmdb/lmdb-log.ts', "import '../../hub/hub.js'", PATHS],
  ['src/log/open.ts', "await import('../hub/hub.js')", PATHS],
  ['src/hub/hub.ts', "import '../server/stream-sink.js'", PATHS],
  ['src/hub/hub.ts', "import '../errors.js'", PATHS],
  ['src/settings/list.ts', "import '../auth/keys.js'", PATHS],
  ['src/auth/verifier.ts', "import '../plugins/auth.js'", PATHS],
  ['src/plugins/auth.ts', "import '../settings/list.js'", PATHS],
  ['src/plugins/auth.ts', "import '../app.js'", PATHS],
  ['src/routes/publish.ts', "import '../commands/listen.js'", PATHS],
  ['src/errors.ts', "import './settings.js'", PATHS],
  ['src/app.ts', "import './commands/listen.js'", PATHS],
  ['src/plugins/console.ts', "import '../console/format.js'", PATHS],
  ['src/commands/start.ts', "import '../console/app.js'", PATHS],
  ['src/plugins/hub.ts', "app.decorate('fanfareHub', 1)", SYNTAX],
  ['src/plugins/auth.ts', "app.decorateRequest('principal', null)", SYNTAX],
  ['src/plugins/event-stream.ts', 'app.decorateReply(`stream`, 1)', SYNTAX],
  ['src/app.ts', "app.decorate('fanfareHub', 1)", SYNTAX],
  ['src/console/hub/api.ts', "import type { Log } from '../../log/log.js'", PATHS],
  ['src/console/hub/stream.ts', "import { encodeEvent } from '../../wire/sse.js'", PACKAGES],
  ['src/console/main.tsx', "import { encodeEvent } from '../wire/sse.js'", PACKAGES],
  ...[
    ...['model/topic.ts', 'event-loop/time-slice.ts', 'wire/sse.ts', 'nats/nats-link.ts'],
    ...['log/open.ts', 'cluster/single.ts', 'hub/hub.ts'],
  ]
    .map((file) => `src/${file}`)
    .map((file): [string, string, string | undefined] => [file, "import http from 'http'", PACKAGES]),
  ...[
    'http',
    'node:http',
    'http2',
    'node:http2',
    'https',
    'node:https',
    'fastify',
    'fastify-plugin',
    '@fastify/jwt',
  ].flatMap((name): [string, string, string | undefined][] => [
    ['src/hub/hub.ts', `import type {} from '${name}'`, PACKAGES],
    ['src/log/open.ts', `await import('${name}')`, SYNTAX],
    ['src/hub/hub.ts', `await import('${name}')`, SYNTAX],
  ]),
  ['src/hub/hub.ts', 'Date.now(); new Date()', SYNTAX],
  ['src/schemas/common.ts', "import { Type } from 'typebox'", BUNDLED],
]

const ALLOWED: [file: string, code: string][] = [
  ['src/log/open.ts', "import '../cluster/single.js'; import 'lmdb'; await import('node:net')"],
  ['src/server/logger.ts', "import '../errors.js'; import 'node:http'"],
  ['src/settings/list.ts', "import '../log/address.js'; import '../server/listen-address.js'"],
  [
    'src/hub/hub.ts',
    "import './feed.js'; import '../log/log.js'; import '../log/page.js'; import '../cluster/single.js'; import '../model/http.js'",
  ],
  [
    'src/console/hub/stream.ts',
    "import type { CloseReason } from '../../wire/sse.js'; import './api.js'; import '../format.js'",
  ],
  ['src/main.ts', "await import('./commands/start.js')"],
]

for (const [file, code, rule] of REFUSED) {
  t.ok((await refusals(file, code)).includes(rule), `${file} must not: ${code}`)
}
for (const [file, code] of ALLOWED) t.strictSame(await refusals(file, code), [], `${file} may: ${code}`)

t.strictSame(
  readdirSync(`${ROOT}src`).filter((name) => !(name in DIRECTIONS)),
  [],
  'each folder and file of src has its directions',
)
const table = readFileSync(`${ROOT}docs/architecture.md`, 'utf8').matchAll(/^\| `([\w.-]+)\/?` \|[^|]*\|([^|]*)\|$/gm)
const described = [...table].map(([, name, known]): [string, string[]] => [
  name!,
  [...known!.matchAll(/`([\w.-]+)`/g)].map(([, other]) => other!).sort(),
])
t.strictSame(
  Object.fromEntries(described),
  Object.fromEntries(Object.entries(DIRECTIONS).map(([name, known]) => [name, [...known].sort()])),
  'docs/architecture.md has the same directions',
)

/** Returns the files of src that a file imports, also for their types only. */
function importsOf(file: string): string[] {
  const paths = readFileSync(`${ROOT}src/${file}`, 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)\.jsx?'/g)
  return [...paths]
    .map(([, path]) => join(dirname(file), path!))
    .flatMap((path) => [`${path}.ts`, `${path}.tsx`].filter((name) => existsSync(`${ROOT}src/${name}`)))
}

/** Returns the circles of a graph, each as the path that closes it. */
function circlesOf(graph: Map<string, string[]>): string[] {
  const circles: string[] = []
  const isDone = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
    else if (!isDone.has(file)) {
      for (const imported of graph.get(file)!) visit(imported, [...path, file])
      isDone.add(file)
    }
  }
  for (const file of graph.keys()) visit(file, [])
  return circles
}

const files = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name))
const graph = new Map(files.map((file) => [file, importsOf(file)]))
t.ok(graph.get('hub/stream.ts')!.includes('hub/feed.ts'), 'imports of types are found')
t.strictSame(circlesOf(graph), [], 'no files import each other in a circle, also for types only')
t.not(circlesOf(new Map(graph).set('hub/feed.ts', ['hub/stream.ts'])).length, 0, 'a circle is found')
