/** A certificate for the hosts of the proxies' configurations. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const HUB_HOST = 'hub.example.com'
export const APP_HOST = 'app.example.com'

export interface Certificate {
  /** The path of the certificate (PEM). */
  cert: string
  /** The path of its key (PEM). */
  key: string
  /** The path of a file with both. */
  both: string
  /** The certificate itself, which clients trust. */
  pem: string
}

/** Makes a self-signed certificate in a folder, with `openssl`. */
export function makeCertificate(folder: string): Certificate {
  const [cert, key, both] = ['cert.pem', 'key.pem', 'hub.pem'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', `/CN=${HUB_HOST}`, '-addext', `subjectAltName=DNS:${HUB_HOST},DNS:${APP_HOST}`]
  execFileSync('openssl', ['req', '-x509', ...options, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const pem = readFileSync(cert, 'utf8')
  writeFileSync(both, pem + readFileSync(key, 'utf8'))
  return { cert, key, both, pem }
}
