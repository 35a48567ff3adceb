import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import importX, { createNodeResolver } from 'eslint-plugin-import-x'
import ts from 'typescript-eslint'

/**
 * The folders and files directly in src, and what each may import from, in addition to itself. docs/architecture.md
 * has the same table, and test/lint.test.ts compares them.
 */
export const DIRECTIONS = {
  model: [],
  'event-loop': ['model'],
  observe: ['model'],
  wire: ['model'],
  nats: ['model'],
  cluster: ['model', 'event-loop', 'nats'],
  log: ['model', 'event-loop', 'observe', 'nats', 'cluster'],
  hub: ['model', 'event-loop', 'observe', 'wire', 'cluster', 'log'],
  server: ['model', 'event-loop', 'wire', 'errors.ts'],
  settings: ['model', 'log', 'server'],
  schemas: ['model', 'errors.ts'],
  openapi: ['model', 'schemas', 'errors.ts'],
  auth: ['model', 'log', 'schemas', 'errors.ts', 'settings.ts'],
  plugins: [
    ...['model', 'event-loop', 'observe', 'wire', 'nats', 'cluster', 'log', 'hub', 'server', 'schemas'],
    ...['openapi', 'auth'],
    ...['errors.ts', 'settings.ts'],
  ],
  routes: [
    ...['model', 'event-loop', 'observe', 'wire', 'cluster', 'log', 'hub', 'server', 'schemas', 'auth', 'plugins'],
    ...['errors.ts', 'settings.ts'],
  ],
  console: ['model', 'wire', 'hub', 'schemas'], // types only, see below
  'errors.ts': [],
  'settings.ts': ['settings'],
  'app.ts': ['cluster', 'server', 'plugins', 'routes', 'settings.ts'],
  'index.ts': ['model', 'log', 'hub', 'auth', 'plugins', 'app.ts', 'settings.ts'],
  'publisher.ts': ['model', 'observe', 'log', 'hub', 'settings.ts'],
  commands: ['model', 'event-loop', 'log', 'server', 'schemas', 'auth', 'app.ts', 'errors.ts', 'settings.ts'],
  'main.ts': ['model', 'nats', 'log', 'commands'],
}

const SRC = fileURLToPath(new URL('src/', import.meta.url))
const zones = Object.entries(DIRECTIONS).map(([name, known]) => ({
  target: `./src/${name}`,
  from: readdirSync(SRC)
    .filter((other) => other !== name && !known.includes(other))
    .map((other) => `./src/${other}`),
  message: `src/${name} must not import it: see DIRECTIONS in eslint.config.js.`,
}))

/** The hub knows the ports `EventLog` and `Cluster`, and none of their implementations but that of a single process. */
const PORTS = { log: ['log.ts', 'page.ts'], cluster: ['cluster.ts', 'single.ts'] }
for (const [folder, ports] of Object.entries(PORTS)) {
  zones.push({
    target: './src/hub',
    from: `./src/${folder}`,
    except: ports.map((file) => `./${file}`),
    message: 'src/hub must import the ports only: see PORTS in eslint.config.js.',
  })
}

/** The folders that know neither Fastify nor HTTP. This rule restricts imports of packages. */
const WITHOUT_HTTP = 'src/{model,event-loop,observe,wire,nats,log,cluster,hub}/**/*.ts'
const HTTP = '^((node:)?https?|(node:)?http2|fastify|fastify[-/].*|@fastify/.*)$'
const NO_HTTP = 'This folder must not import Fastify or HTTP.'
/** Other rules do not see what `import()` loads. */
const NO_HTTP_LATER = {
  selector: `ImportExpression[source.value=/${HTTP.replaceAll('/', '\\u002f')}/]`,
  message: NO_HTTP,
}

/** Applications see the decorators of the hub, and only `app.hub` is for them. @fastify/jwt requires `jwt`. */
const NO_NAMED_DECORATORS = {
  selector:
    'CallExpression[callee.property.name=/^decorate(Request|Reply)?$/][arguments.0.type!="Identifier"]' +
    ':not([arguments.0.value=/^(hub|jwt)$/])',
  message: 'Decorators are internal: their keys are symbols, such as kHub in src/plugins/hub.ts.',
}

/** The console is another program: it may only import types. */
function typesOnly(regex) {
  const message = 'The console may import types of the hub only.'
  return {
    '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ regex, allowTypeImports: true, message }] }],
  }
}

export default defineConfig(
  globalIgnores(['dist/', 'packages/*/dist/', 'node_modules/', '.tap/', 'coverage/']),
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off', // noUncheckedIndexedAccess requires them in hot loops
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/require-await': 'off', // Fastify plugins are async functions
    },
  },
  {
    // prettier does not break comments and strings, and a message is one string
    files: ['**/*.{ts,tsx,js}'],
    rules: {
      'max-len': [
        'error',
        { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true },
      ],
    },
  },
  {
    files: ['src/**/*.{ts,tsx}'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts', '.tsx'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts', '.tsx'], extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } }),
      ],
    },
    rules: {
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': ['error', { zones }],
      // the rules of imports do not see the type `import('…')`
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/schemas/typebox.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['typebox', 'typebox/*'],
              message: 'Import from src/schemas/typebox.ts, which is bundled: the files of typebox take long to load.',
            },
          ],
        },
      ],
    },
  },
  {
    files: [WITHOUT_HTTP],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ regex: HTTP, message: NO_HTTP }] }],
      'no-restricted-syntax': ['error', NO_HTTP_LATER],
    },
  },
  { files: ['src/console/*.{ts,tsx}'], rules: typesOnly('^\\.\\./') },
  { files: ['src/console/*/**/*.{ts,tsx}'], rules: typesOnly('^\\.\\./\\.\\./') },
  {
    files: ['src/**/*.{ts,tsx}'],
    rules: { 'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }] },
  },
  {
    files: ['src/{plugins,routes}/**/*.ts', 'src/app.ts'],
    rules: { 'no-restricted-syntax': ['error', NO_NAMED_DECORATORS] },
  },
  {
    files: ['src/{hub,cluster,model,event-loop,observe,wire,nats}/**/*.ts'],
    ignores: ['src/model/clock.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...[
          ['Date', 'now'],
          ['performance', 'now'],
          ['process', 'hrtime'],
        ].map(([object, property]) => ({
          object,
          property,
          message: 'Durations: monotonicNow(). Timestamps: wallNow(). Both are in src/model/clock.ts.',
        })),
      ],
      'no-restricted-syntax': [
        'error',
        NO_HTTP_LATER,
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'Timestamps: new Date(wallNow()), from src/model/clock.ts.',
        },
      ],
    },
  },
  {
    files: ['packages/client/src/**/*.ts'],
    plugins: { 'import-x': importX },
    rules: {
      'import-x/no-cycle': 'error',
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(?!\\.|react$)', message: 'The client has no dependencies.' }] },
      ],
      '@typescript-eslint/unbound-method': 'off', // objects are made of closures, and have no `this`
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
    },
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } } },
)
