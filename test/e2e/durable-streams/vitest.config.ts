import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  cacheDir: fileURLToPath(new URL('../../../node_modules/.cache/vitest', import.meta.url)),
  test: {
    include: ['conformance.spec.ts'],
    testTimeout: 30_000, // a machine that runs several tests is slow
  },
})
