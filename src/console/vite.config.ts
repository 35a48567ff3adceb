/** Builds the console into static files that work wherever they are put: every URL in them is relative. */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../../dist/console', import.meta.url)),
    emptyOutDir: true,
    modulePreload: { polyfill: false }, // an inline script, which the Content-Security-Policy forbids
    assetsInlineLimit: 0,
    target: 'es2022',
  },
})
