/** Finds `@durable-streams/server` in the folder of `--durable-streams`. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UsageError } from './options.js'

const PACKAGE = '@durable-streams/server'
/** The command that installs the package. */
export const INSTALL = `npm install --prefix <folder> ${PACKAGE}@0.3.7`

/**
 * Returns the version of the package.
 * @throws UsageError if it is not installed in the folder
 */
export function durableStreamsVersion(folder: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(rootIn(folder), 'package.json'), 'utf8')) as { version: string }
    return version
  } catch (err) {
    throw new UsageError(`${folder} has no ${PACKAGE}: ${INSTALL}`, { cause: err })
  }
}

/** Returns the URL of the module. */
export function durableStreamsEntry(folder: string): string {
  return pathToFileURL(join(rootIn(folder), 'dist', 'index.js')).href
}

function rootIn(folder: string): string {
  return join(resolve(folder), 'node_modules', PACKAGE)
}
