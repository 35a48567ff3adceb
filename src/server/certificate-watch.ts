/**
 * Reads a certificate again when its files change. The hub compares the contents regularly: a watch of the file system
 * would miss what certbot and Kubernetes do, which replace symbolic links (`live/<name>/*.pem`, `..data`), and it does
 * not work on every file system. New connections get the new certificate; open connections keep theirs.
 */
import {
  checkPair,
  printTime,
  readPair,
  warnOfValidity,
  type Certificate,
  type CertificatePair,
  type TlsFiles,
} from './certificate.js'

/** The time between two looks at the files, in milliseconds. */
const INTERVAL = 5_000

/** The part of a server with TLS that is used here. */
export interface TlsServer {
  setSecureContext(pair: CertificatePair): void
}

interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface CertificateWatchOptions {
  server: TlsServer
  files: TlsFiles
  /** The certificate that the server has. */
  certificate: Certificate
  log: Log
  /** In milliseconds, for tests. */
  interval?: number
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions
  readonly #timer: NodeJS.Timeout
  #current: Certificate
  /** The fault of the last look. It is logged if the next look finds it too: a renewal may be under way. */
  #fault: { message: string; isLogged: boolean } | undefined
  #isLooking = false
  #hasWarned = false

  constructor(options: CertificateWatchOptions) {
    this.#options = options
    this.#current = options.certificate
    this.#warnOfValidity()
    this.#timer = setInterval(() => void this.look(), options.interval ?? INTERVAL).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Looks at the files once. Without a complete and valid pair the server keeps its certificate. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const { files } = this.#options
      const pair = await readPair(files)
      if (pair.cert !== this.#current.cert || pair.key !== this.#current.key) this.#use(checkPair(files, pair))
      this.#fault = undefined
    } catch (err) {
      this.#fail(err)
    } finally {
      this.#isLooking = false
    }
    this.#warnOfValidity()
  }

  #use(certificate: Certificate): void {
    const { server, log } = this.#options
    server.setSecureContext({ cert: certificate.cert, key: certificate.key })
    this.#current = certificate
    this.#hasWarned = false
    const { subject, validTo } = certificate
    log.info(
      { subject, validTo: printTime(validTo) },
      `new connections get the new certificate, valid until ${printTime(validTo)}`,
    )
  }

  #fail(err: unknown): void {
    const { message } = err as Error
    if (this.#fault?.message !== message) this.#fault = { message, isLogged: false }
    else if (!this.#fault.isLogged) {
      this.#fault.isLogged = true
      this.#options.log.warn({ err }, `the hub keeps its certificate: ${message}`)
    }
  }

  #warnOfValidity(): void {
    if (this.#hasWarned) return
    const warning = warnOfValidity(this.#current, this.#options.files.certFile)
    if (warning === undefined) return
    this.#hasWarned = true
    this.#options.log.warn({ subject: this.#current.subject }, warning)
  }
}
