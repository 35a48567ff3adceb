import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import ts from 'typescript-eslint'

export default defineConfig(
  globalIgnores(['dist/', 'node_modules/', '.tap/', 'coverage/']),
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off', // noUncheckedIndexedAccess asks for them in hot loops
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/require-await': 'off', // async is how a Fastify plugin is written
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/schemas/typebox.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: ['typebox', 'typebox/*'], message: 'Import it from src/schemas/typebox.ts, which is bundled: its files take long to load.' }] }] },
  },
  {
    files: ['src/{hub,model,event-loop,wire}/**/*.ts'],
    ignores: ['src/model/clock.ts'],
    rules: {
      'no-restricted-properties': ['error', ...[['Date', 'now'], ['performance', 'now'], ['process', 'hrtime']].map(([object, property]) =>
        ({ object, property, message: 'Durations: monotonicNow(). Timestamps: wallNow(). Both are in src/model/clock.ts.' }))],
      'no-restricted-syntax': ['error', { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Timestamps: new Date(wallNow()), from src/model/clock.ts.' }],
    },
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
)
