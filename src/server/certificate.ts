/** Reads the certificate and the private key with which the hub speaks TLS. A fault is one sentence. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { SettingsError } from '../model/settings-error.js'

/** The files of a certificate with its chain, and of its private key (PEM). */
export interface TlsFiles {
  certFile: string
  keyFile: string
}

/** The contents of the two files. */
export interface CertificatePair {
  cert: string
  key: string
}

/** A certificate that its key fits. */
export interface Certificate extends CertificatePair {
  /** The name for log lines. */
  subject: string
  /** When its validity begins and ends, in milliseconds since the Unix epoch. */
  validFrom: number
  validTo: number
}

/**
 * Reads the two files. They may be replaced meanwhile, so the contents may not belong together.
 * @throws SettingsError naming the setting and the file
 */
export async function readPair({ certFile, keyFile }: TlsFiles): Promise<CertificatePair> {
  const cert = await read('FANFARE_TLS_CERT', certFile)
  return { cert, key: await read('FANFARE_TLS_KEY', keyFile) }
}

/**
 * Checks a certificate and its key.
 * @throws SettingsError naming the setting, the file, and what is wrong
 */
export function checkPair({ certFile, keyFile }: TlsFiles, { cert, key }: CertificatePair): Certificate {
  const x509 = parseCertificate(certFile, cert)
  if (!x509.checkPrivateKey(parseKey(keyFile, key)))
    throw new SettingsError(
      `FANFARE_TLS_KEY=${keyFile} is not the key of the certificate in FANFARE_TLS_CERT=${certFile}: the first certificate in that file must be the one of this key.`,
    )
  try {
    createSecureContext({ cert, key })
  } catch (err) {
    throw new SettingsError(
      `FANFARE_TLS_CERT=${certFile} cannot be used for TLS (${reasonOf(err)}): the file needs the certificate and then its chain, each complete.`,
      { cause: err },
    )
  }
  const { subject, subjectAltName, validFrom, validTo } = x509
  return {
    cert,
    key,
    subject: subjectAltName ?? (subject || 'no name'),
    validFrom: Date.parse(validFrom),
    validTo: Date.parse(validTo),
  }
}

/** Returns a warning about the validity of a certificate; `undefined` if it is valid. */
export function warnOfValidity({ validFrom, validTo }: Certificate, certFile: string): string | undefined {
  const now = Date.now()
  if (now > validTo)
    return `the certificate in FANFARE_TLS_CERT=${certFile} expired at ${printTime(validTo)}: clients refuse the hub until the file has a new one`
  if (now < validFrom)
    return `the certificate in FANFARE_TLS_CERT=${certFile} is not valid before ${printTime(validFrom)}: clients refuse the hub until then`
  return undefined
}

export function printTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z')
}

async function read(variable: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    throw new SettingsError(
      `${variable}=${file} cannot be read (${reasonOf(err)}): check the path, and that this user may read the file.`,
      { cause: err },
    )
  }
}

function parseCertificate(file: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text)
  } catch (err) {
    throw new SettingsError(
      `FANFARE_TLS_CERT=${file} has no certificate in PEM (-----BEGIN CERTIFICATE-----) at its beginning.`,
      { cause: err },
    )
  }
}

function parseKey(file: string, text: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE' || /BEGIN ENCRYPTED|,ENCRYPTED/.test(text))
      throw new SettingsError(
        `FANFARE_TLS_KEY=${file} is encrypted with a passphrase: store the key without one (openssl pkey -in <file> -out <new file>).`,
        { cause: err },
      )
    throw new SettingsError(`FANFARE_TLS_KEY=${file} has no private key in PEM (-----BEGIN PRIVATE KEY-----).`, {
      cause: err,
    })
  }
}

function reasonOf(err: unknown): string {
  const { code, reason, message } = err as NodeJS.ErrnoException & { reason?: string }
  return reason ?? code ?? message
}
