/**
 * Writes the versions of a release: `npm run release`. `changeset version` decides them from the files in `.changeset`.
 * It does not know packages at the root of a repository, so it runs in a folder in which both packages are workspaces.
 *
 * `npm run release -- <folder>` does so in another checkout.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url))
const CHANGESET = createRequire(import.meta.url).resolve('@changesets/cli/bin.js')
/** The packages, with their folder in the repository. */
const PACKAGES = { hub: '.', client: 'packages/client' }
/** Files with the version of the image, and the text before it. */
const IMAGES: [file: string, before: string][] = [
  ['Dockerfile', 'org.opencontainers.image.version="'],
  ['deploy/compose.cluster.yaml', 'image: fanfare:'],
  ['deploy/kubernetes/kustomization.yaml', 'newTag: '],
  ['deploy/kubernetes/single/kustomization.yaml', 'newTag: '],
]

interface Manifest {
  name: string
  version: string
}

function read(...path: string[]): string {
  return readFileSync(join(...path), 'utf8')
}

function manifest(...path: string[]): Manifest {
  return JSON.parse(read(...path, 'package.json')) as Manifest
}

/** Returns the names of the files in `.changeset` that describe changes. */
function changesets(folder: string): string[] {
  return readdirSync(join(folder, '.changeset')).filter((name) => name.endsWith('.md') && name !== 'README.md')
}

/** Runs `changeset version`, and returns the new version of both packages. */
function nextVersion(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-release-'))
  try {
    cpSync(join(ROOT, '.changeset'), join(folder, '.changeset'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "workspaces": ["hub", "client"] }')
    writeFileSync(join(folder, 'package-lock.json'), '{}') // tells that npm is in use
    for (const [name, path] of Object.entries(PACKAGES)) {
      const { name: packageName, version } = manifest(ROOT, path)
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'package.json'), JSON.stringify({ name: packageName, version }))
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [CHANGESET, 'version'], {
      cwd: folder,
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stdout + stderr)
    return manifest(folder, 'hub').version
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Replaces every match in a file, of which there must be one at least. */
function replace(file: string, from: RegExp, to: string): void {
  const text = read(ROOT, file)
  if (!from.test(text)) throw new Error(`${file} has no ${String(from)}`)
  writeFileSync(join(ROOT, file), text.replaceAll(from, to))
}

function release(): void {
  const files = changesets(ROOT)
  if (files.length === 0) throw new Error('there is no file in .changeset: nothing to release')
  const before = manifest(ROOT).version.replaceAll('.', '\\.')
  const version = nextVersion()
  for (const path of Object.values(PACKAGES)) {
    replace(join(path, 'package.json'), new RegExp(`"version": "${before}"`, 'g'), `"version": "${version}"`)
  }
  const own = new RegExp(`("name": "fanfare(?:-client)?",\\s+"version": )"${before}"`, 'g')
  replace('package-lock.json', own, `$1"${version}"`)
  for (const [file, text] of IMAGES) replace(file, new RegExp(`(?<=${text})${before}`, 'g'), version)
  const day = new Date().toISOString().slice(0, 10)
  replace('CHANGELOG.md', /^## \[Unreleased\]$/gm, `## [Unreleased]\n\n## [${version}] - ${day}`)
  for (const name of files) rmSync(join(ROOT, '.changeset', name))
  console.log(`The versions are ${version}. Next: git commit -am 'Release ${version}' && git tag v${version}`)
}

try {
  release()
} catch (err) {
  console.error(err instanceof Error ? err.message : err)
  process.exitCode = 1
}
