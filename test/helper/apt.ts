/** Programs of Debian that tests need. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** The time limit for waiting for another installation, in seconds. */
const PATIENCE = 120

/**
 * Returns the path of the first program on PATH. If there is none, installs the package with apt-get, on Debian as
 * root.
 * @returns `undefined` if there is none and it cannot be installed
 */
export function findOrInstall(programs: readonly string[], debianPackage: string): string | undefined {
  return findProgram(programs) ?? (canInstall() && install(debianPackage) ? findProgram(programs) : undefined)
}

/** Returns the path of the first program on PATH. */
export function findProgram(programs: readonly string[]): string | undefined {
  for (const name of programs) {
    const { status, stdout } = spawnSync('which', [name], { encoding: 'utf8' })
    if (status === 0) return stdout.trim()
  }
  return undefined
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version')
}

function install(debianPackage: string): boolean {
  const run = (...args: string[]) =>
    spawnSync('apt-get', ['-o', `DPkg::Lock::Timeout=${PATIENCE}`, '-qq', ...args], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0
  const installPackage = () => run('install', '--yes', '--no-install-recommends', debianPackage)
  return installPackage() || (run('update') && installPackage())
}
