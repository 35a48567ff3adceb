/** The options of a connection to NATS. */

/** The settings of the connections to NATS. Times are in milliseconds. */
export interface NatsOptions {
  /** The servers, as `host:port`. */
  servers: readonly string[]
  /** The beginning of every name that the hub uses on NATS: the stream, the bucket and the subjects. */
  prefix: string
  /** The maximum time for an answer. After it, NATS counts as unavailable. */
  timeout: number
  /** Whether the connection must be encrypted. */
  tls: boolean
  /** The file of the certificates (PEM) that the server's certificate is checked with; default: those of Node. */
  caFile?: string | undefined
  /** The file of the hub's own certificate (PEM). */
  certFile?: string | undefined
  /** The file of the key of the hub's own certificate (PEM). */
  keyFile?: string | undefined
  user?: string | undefined
  password?: string | undefined
  /** The seed of an nkey. */
  nkey?: string | undefined
  /** The file with a JWT and the seed of its nkey. */
  credentialsFile?: string | undefined
}
