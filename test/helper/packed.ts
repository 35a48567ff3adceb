/** The packages as `npm pack` makes them. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** The time limit for `npm pack` on a busy machine, in milliseconds. */
const TIMEOUT = 240_000

export interface Packed {
  name: string
  /** The path of the archive. */
  archive: string
  /** The folder with the files of the archive. */
  folder: string
}

/** Packs a built package of the repository, and unpacks the archive in a folder. */
export async function pack(to: string, path = '.'): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', to], {
    cwd: join(ROOT, path),
    timeout: TIMEOUT,
  })
  const answer = JSON.parse(stdout) as { filename: string }[] | Record<string, { filename: string }>
  const archive = join(to, Object.values(answer)[0]!.filename)
  const folder = archive.replace(/\.tgz$/, '')
  mkdirSync(folder)
  await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1'])
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string }
  return { name, archive, folder }
}
