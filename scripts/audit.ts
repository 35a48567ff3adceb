/**
 * Fails if `npm audit` knows a vulnerability of a dependency that users install. A registry that answers no audit, or
 * that cannot be reached, is one line and no failure.
 */
import { spawnSync } from 'node:child_process'

interface Report {
  vulnerabilities?: Record<string, { severity: string; via: (string | { title: string; url: string })[] }>
  /** Why the registry's answer to the audit could not be had. */
  message?: string
  /** A failure after that answer. */
  error?: { summary: string }
}

const { stdout, error } = spawnSync(
  'npm',
  ['audit', '--omit=dev', '--json', '--fetch-timeout=10000', '--fetch-retries=0', ...process.argv.slice(2)],
  { encoding: 'utf8', timeout: 60_000 },
)
const report = parse(stdout)
if (report?.message === undefined && report?.error !== undefined) {
  console.error(`audit: failed: ${report.error.summary}`)
  process.exitCode = 1
} else if (report?.vulnerabilities === undefined) {
  console.log(`audit: skipped, the registry answers no audit: ${report?.message ?? error?.message ?? 'no report'}`)
} else {
  const found = Object.entries(report.vulnerabilities)
  for (const [name, { severity, via }] of found) {
    console.error(`audit: ${name} (${severity}): ${via.map(describe).join('; ')}`)
  }
  if (found.length > 0) process.exitCode = 1
  else console.log('audit: no vulnerability of a dependency is known')
}

function parse(text: string): Report | undefined {
  try {
    return JSON.parse(text) as Report
  } catch {
    return undefined
  }
}

function describe(via: string | { title: string; url: string }): string {
  return typeof via === 'string' ? `through ${via}` : `${via.title}, ${via.url}`
}
