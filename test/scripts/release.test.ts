/** `npm run release` in a copy of the files that it changes. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { bareNode } from '../helper/bare-node.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FILES = [
  'package.json',
  'package-lock.json',
  'packages/client/package.json',
  'CHANGELOG.md',
  'Dockerfile',
  'deploy/compose.cluster.yaml',
  'deploy/kubernetes/kustomization.yaml',
  'deploy/kubernetes/single/kustomization.yaml',
  '.changeset/config.json',
  '.changeset/README.md',
]

/** Copies the files, adds a changeset of each kind, and releases. */
function release(t: Test, kinds: readonly string[]) {
  const folder = t.testdir({})
  for (const name of FILES) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    cpSync(join(ROOT, name), join(folder, name))
  }
  kinds.forEach((kind, n) => {
    writeFileSync(join(folder, `.changeset/change-${n}.md`), `---\n'fanfare': ${kind}\n---\n\nA change.\n`)
  })
  const { status, stdout, stderr } = spawnSync(...bareNode(['--import=tsx', 'scripts/release.ts', folder]), {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const parse = (name: string) => JSON.parse(read(name)) as { version: string; packages: Record<string, unknown> }
  return { status, output: stdout + stderr, read, parse, folder }
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const [major, minor] = version.split('.').map(Number) as [number, number]
const next = `${major}.${minor + 1}.0`

await t.test('the greatest change decides the version of both packages and of the image', async (t) => {
  const { status, output, read, parse, folder } = release(t, ['patch', 'minor'])
  t.equal(status, 0, output)
  t.match(output, `The versions are ${next}`)
  t.equal(parse('package.json').version, next)
  t.equal(parse('packages/client/package.json').version, next)
  const lock = parse('package-lock.json')
  t.equal(lock.version, next)
  t.match(lock.packages, { '': { version: next }, 'packages/client': { version: next } })
  t.match(read('deploy/compose.cluster.yaml'), `image: fanfare:${next}`)
  t.match(read('deploy/kubernetes/kustomization.yaml'), `newTag: ${next}`)
  t.match(read('deploy/kubernetes/single/kustomization.yaml'), `newTag: ${next}`)
  t.match(read('Dockerfile'), `image.version="${next}"`)
  t.match(read('CHANGELOG.md'), new RegExp(`^## \\[Unreleased\\]\n\n## \\[${next}\\] - \\d{4}-\\d\\d-\\d\\d$`, 'm'))
  t.notOk(existsSync(join(folder, '.changeset/change-0.md')), 'the changesets are removed')
  t.ok(existsSync(join(folder, '.changeset/README.md')))
})

await t.test('without a changeset nothing is released', async (t) => {
  const { status, output, parse } = release(t, [])
  t.equal(status, 1)
  t.equal(output, 'there is no file in .changeset: nothing to release\n')
  t.equal(parse('package.json').version, version)
})

await t.test('an unknown kind is refused, and nothing is changed', async (t) => {
  const { status, parse, folder } = release(t, ['huge'])
  t.equal(status, 1)
  t.equal(parse('package.json').version, version)
  t.ok(existsSync(join(folder, '.changeset/change-0.md')))
})
