/** File systems of a few megabytes, in memory or in a file, that tests fill to the last byte. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Why tests that mount a file system are skipped, or `false`. In CI, as root, they fail instead. */
export const skipMount: string | false = whyNot()

export interface Tmpfs {
  readonly folder: string
  /** Takes all free bytes, or the given number. */
  fill(bytes?: number): void
  /** Frees the bytes of `fill`. */
  free(): void
  setReadOnly(readOnly: boolean): void
}

/**
 * Mounts a tmpfs on a new folder. It is unmounted when the test is over, after the processes in it have been stopped.
 */
export function mountTmpfs(t: Test, megabytes: number): Tmpfs {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-tmpfs-'))
  mount('-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'fanfare-test', folder)
  return mounted(t, folder)
}

/** Why no ext4 can be mounted, or `false`. */
export const skipExt4: string | false = skipMount || whyNoExt4()

/** Creates an ext4 in a file, and mounts it as `mountTmpfs` does. */
export function mountExt4(t: Test, megabytes: number): Tmpfs {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-ext4-'))
  mountImage(folder, megabytes)
  t.teardown(() => rmSync(`${folder}.img`, { force: true }))
  return mounted(t, folder)
}

function mountImage(folder: string, megabytes: number): void {
  const image = `${folder}.img`
  writeFileSync(image, '')
  truncateSync(image, megabytes * 1024 * 1024)
  const { status, stderr, error } = spawnSync('mkfs.ext4', ['-q', '-m', '0', image], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mkfs.ext4: ${error?.message ?? stderr}`)
  mount('-o', 'loop', image, folder)
}

function whyNoExt4(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-ext4-'))
  try {
    mountImage(folder, 8)
    spawnSync('umount', [folder])
    return false
  } catch (err) {
    return `no ext4 can be mounted here: ${(err as Error).message.trim()}`
  } finally {
    rmdirSync(folder)
    rmSync(`${folder}.img`, { force: true })
  }
}

function mounted(t: Test, folder: string): Tmpfs {
  t.teardown(() => {
    const { status, stderr } = spawnSync('umount', [folder], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`umount ${folder}: ${stderr}`)
    rmdirSync(folder)
  })
  const ballast = join(folder, 'ballast')
  return {
    folder,
    fill: (bytes = Infinity) => fillFile(ballast, bytes),
    free: () => rmSync(ballast, { force: true }),
    setReadOnly: (readOnly) => mount('-o', `remount,${readOnly ? 'ro' : 'rw'}`, folder),
  }
}

function fillFile(path: string, bytes: number): void {
  const chunk = Buffer.alloc(64 * 1024)
  const file = openSync(path, 'a')
  try {
    for (let left = bytes; left > 0;) left -= writeSync(file, chunk, 0, Math.min(left, chunk.length))
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOSPC') throw err
  } finally {
    closeSync(file)
  }
}

function mount(...args: string[]): void {
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${error?.message ?? stderr}`)
}

function whyNot(): string | false {
  const isRoot = process.getuid?.() === 0
  if (isRoot && process.env['CI'] === 'true') return false
  if (!isRoot) return 'only root can mount a file system of its own'
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-tmpfs-'))
  try {
    mount('-t', 'tmpfs', '-o', 'size=1m', 'fanfare-test', folder)
    spawnSync('umount', [folder])
    return false
  } catch (err) {
    return `no file system can be mounted here: ${(err as Error).message.trim()}`
  } finally {
    rmdirSync(folder)
  }
}
