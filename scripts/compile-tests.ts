/**
 * Compiles all TypeScript files for `test/all.ts`. A compiled file finds other files as its source does: imports work
 * since it has the same path in another folder, and `import.meta.url` is that of the source.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { transformSync } from 'rolldown/utils'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = [
  'bench',
  'docs/.vitepress',
  'examples',
  'packages/client/src',
  'packages/client/test',
  'scripts',
  'src',
  'test',
]

/** A module that is bundled: its many files take long to load. */
const BUNDLED = 'schemas/typebox.js'
const COMPILED = join(ROOT, '.tap/compiled')

/** Returns the path of the compiled file of a source, which is relative to the package. */
export function compiledPath(source: string): string {
  return join(COMPILED, source.replace(/\.tsx?$/, '.js'))
}

/** Compiles all files. Call it after a build. */
export function compileTests(): void {
  rmSync(COMPILED, { recursive: true, force: true })
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      if (/\.(tsx?|mjs)$/.test(name)) compile(join(folder, name))
    }
  }
  copyFileSync(join(ROOT, 'dist', BUNDLED), compiledPath(join('src', BUNDLED)))
}

function compile(source: string): void {
  const path = resolve(ROOT, source)
  const { code, map, errors } = transformSync(path, readFileSync(path, 'utf8'), { tsconfig: true, sourcemap: true })
  if (errors[0]) throw new Error(`${source}: ${errors[0].message}`)
  const target = compiledPath(source)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, `${withUrl(code, path)}${mapComment(map, path)}`)
}

/** Gives a module the URL of its source. It adds no line, for the source map. */
function withUrl(code: string, path: string): string {
  if (!code.includes('import.meta.url')) return code
  return `import.meta.url = ${JSON.stringify(pathToFileURL(path).href)}; ${code}`
}

function mapComment(map: object | undefined, path: string): string {
  const bytes = Buffer.from(JSON.stringify({ ...map, sources: [path], sourcesContent: undefined }))
  return `\n//# sourceMappingURL=data:application/json;base64,${bytes.toString('base64')}\n`
}
