/** The licences of the packages that the published packages contain or depend on, from the lock file. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Licensed {
  name: string
  version: string
  licence: string
  /** Whether files of the package are part of `dist`. */
  isBundled: boolean
}

interface LockEntry {
  version: string
  license?: string
  dev?: boolean
  devOptional?: boolean
  link?: boolean
}

/** Licences that allow use in a closed product, and ask for no more than a notice. */
export const ALLOWED = [
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'Unlicense',
]
/** The packages whose code the builds of the console and the schemas copy into `dist`. */
export const BUNDLED = ['@preact/signals', '@preact/signals-core', 'eventsource-parser', 'preact', 'typebox', 'uplot']

function lockFile(): Record<string, LockEntry> {
  const path = fileURLToPath(new URL('../package-lock.json', import.meta.url))
  return (JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockEntry> }).packages
}

/** Returns the packages that a user installs or gets, by name and version. */
export function licences(lock: Record<string, LockEntry> = lockFile()): Licensed[] {
  const byKey = new Map<string, Licensed>()
  for (const [path, { version, license, dev, devOptional, link }] of Object.entries(lock)) {
    const [folder, name] = [path.split('/')[0], path.split('node_modules/').pop()!]
    if (folder !== 'node_modules' || link === true) continue
    const isBundled = BUNDLED.includes(name) && path === `node_modules/${name}`
    if (!isBundled && (dev === true || devOptional === true)) continue
    byKey.set(`${name} ${version}`, { name, version, licence: license ?? 'unknown', isBundled })
  }
  return [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, licensed]) => licensed)
}

/** Returns the licence texts of the bundled packages, which ask to be kept with copies of the code. */
export function notices(): { name: string; text: string }[] {
  return BUNDLED.map((name) => {
    const folder = new URL(`../node_modules/${name}/`, import.meta.url)
    const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry))
    if (file === undefined) throw new Error(`${name} has no file with its licence`)
    return { name, text: readFileSync(new URL(file, folder), 'utf8').trim() }
  })
}

/** Returns the packages whose licence is not allowed. */
export function refusedLicences(packages: readonly Licensed[]): Licensed[] {
  return packages.filter(({ licence }) => !ALLOWED.includes(licence))
}
