import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import importX, { createNodeResolver } from 'eslint-plugin-import-x'
import ts from 'typescript-eslint'

/**
 * The folders of src that each folder may import from, in addition to itself; `.` stands for the files directly in src.
 * docs/architecture.md describes them.
 */
const FOLDERS = {
  model: [],
  'event-loop': ['model'],
  wire: ['model'],
  nats: ['model'],
  log: ['model', 'event-loop', 'nats'],
  cluster: ['model', 'event-loop', 'nats'],
  hub: ['model', 'event-loop', 'wire', 'log', 'cluster'],
  server: ['model', 'event-loop', 'wire', '.'],
  schemas: ['model', '.'],
  auth: ['model', 'log', 'schemas', '.'],
  settings: ['model', 'log', 'server'],
  plugins: ['model', 'event-loop', 'wire', 'nats', 'log', 'cluster', 'hub', 'server', 'schemas', 'auth', '.'],
  routes: ['model', 'event-loop', 'wire', 'log', 'cluster', 'hub', 'server', 'schemas', 'auth', 'plugins', '.'],
}
const ALL_FOLDERS = [...Object.keys(FOLDERS), 'commands']
/** The files directly in src that folders may import. The others compose the application. */
const TOP_FILES = ['errors', 'settings', 'version']

const zones = Object.entries(FOLDERS).flatMap(([folder, known]) => [
  ...ALL_FOLDERS.filter((other) => other !== folder && !known.includes(other)).map((other) => ({
    target: `./src/${folder}`,
    from: `./src/${other}`,
    message: `src/${folder} must not import from src/${other}: see FOLDERS in eslint.config.js.`,
  })),
  {
    target: `./src/${folder}`,
    from: './src/*.ts',
    except: known.includes('.') ? TOP_FILES.map((name) => `**/src/${name}.ts`) : [],
    message: `src/${folder} must not import this file of src: see FOLDERS in eslint.config.js.`,
  },
])

export default defineConfig(
  globalIgnores(['dist/', 'node_modules/', '.tap/', 'coverage/']),
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
    files: ['src/**/*.ts'],
    ignores: ['src/console/**'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
    },
    rules: { 'import-x/no-cycle': 'error', 'import-x/no-restricted-paths': ['error', { zones }] },
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
    // FOLDERS restricts imports from src, and this rule imports of packages
    files: ['src/{model,event-loop,wire,nats,log,cluster,hub}/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['fastify', 'fastify-*', '@fastify/*', 'node:http', 'node:http2', 'node:https'],
              message: 'This folder must not import Fastify or HTTP.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/routes/**/*.ts'],
    rules: { 'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }] },
  },
  {
    files: ['src/{hub,cluster,model,event-loop,wire,nats}/**/*.ts'],
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
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'Timestamps: new Date(wallNow()), from src/model/clock.ts.',
        },
      ],
    },
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
)
