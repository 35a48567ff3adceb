/** The certificate of a hub that speaks TLS, for the time of a scenario. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from '../test/plugins/certificate.js'

export interface CertificateFiles {
  /** The settings of the hub. */
  readonly env: Record<string, string>
  /** Removes the files. */
  remove(): void
}

export function createCertificate(): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-bench-tls-'))
  const env = { FANFARE_TLS_CERT: join(folder, 'cert.pem'), FANFARE_TLS_KEY: join(folder, 'key.pem') }
  const { cert, key } = selfSigned()
  writeFileSync(env.FANFARE_TLS_CERT, cert)
  writeFileSync(env.FANFARE_TLS_KEY, key)
  return { env, remove: () => rmSync(folder, { recursive: true }) }
}
