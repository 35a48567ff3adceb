import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Writes a file of schemas into a folder that is removed after the test. Returns its path. */
export function schemaFile(t: Test, content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'schemas-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'schemas.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}
