/** A connection to NATS, which reconnects whenever it breaks, for as long as the process runs. */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  type Authenticator,
  type NatsConnection,
  type NodeConnectionOptions,
} from '@nats-io/transport-node'
import { monotonicNow } from '../model/clock.js'
import { quote } from '../model/quote.js'
import { NatsError } from './nats-error.js'
import type { NatsOptions } from './nats-options.js'
import { handleSocketErrors } from './socket-errors.js'

/** The oldest server with atomic batches. */
const OLDEST: readonly [major: number, minor: number] = [2, 12]
/** The time between two attempts to connect, in milliseconds. */
const RETRY = 250
/** The interval of pings, in milliseconds. A server that answers neither of two pings is left for another one. */
const PING_INTERVAL = 5_000

/** Called when the connection breaks, and when it is up again. */
export type OnLink = (isUp: boolean) => void

export class NatsLink {
  readonly connection: NatsConnection
  /** Whether the connection is up. */
  isUp = true
  readonly #onChange = new Set<OnLink>()

  /**
   * Connects to the first server that answers.
   * @param name the name of the connection, for the operator of NATS
   * @throws NatsError if no server answers in time, refuses the hub, or is too old
   */
  static async open(options: NatsOptions, name: string): Promise<NatsLink> {
    handleSocketErrors()
    const given = await connectionOptions(options, name)
    const deadline = monotonicNow() + options.timeout
    for (;;) {
      try {
        const connection = await connect(given)
        const fault = faultOfServer(connection)
        if (fault === undefined) return new NatsLink(connection)
        await connection.close()
        throw new NatsError(fault)
      } catch (err) {
        if (err instanceof NatsError) throw err
        if (monotonicNow() >= deadline) throw asNatsError(options, err)
        await delay(RETRY)
      }
    }
  }

  private constructor(connection: NatsConnection) {
    this.connection = connection
    void this.#watch()
  }

  /** Calls `onChange` with each change of the connection. Returns a function that stops the calls. */
  watch(onChange: OnLink): () => void {
    const listener: OnLink = (isUp) => onChange(isUp) // one function may watch twice
    this.#onChange.add(listener)
    return () => void this.#onChange.delete(listener)
  }

  async close(): Promise<void> {
    this.#onChange.clear()
    await this.connection.close()
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === 'reconnect') this.#changed(true)
      if (type === 'disconnect') this.#changed(false)
    }
    this.#changed(false)
  }

  #changed(isUp: boolean): void {
    this.isUp = isUp
    for (const listener of this.#onChange) listener(isUp)
  }
}

async function connectionOptions(options: NatsOptions, name: string): Promise<NodeConnectionOptions> {
  const { servers, timeout, tls, caFile, certFile, keyFile, user, password } = options
  const authenticator = await authenticatorOf(options)
  const files = { ...(caFile && { caFile }), ...(certFile && { certFile }), ...(keyFile && { keyFile }) }
  for (const file of Object.values(files)) await read(file)
  return {
    name,
    servers: [...servers],
    timeout,
    reconnectTimeWait: RETRY,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true, // a server that is being set up may refuse every user for a while
    pingInterval: PING_INTERVAL,
    ...(tls || Object.keys(files).length > 0 ? { tls: files } : {}),
    ...(user === undefined ? {} : { user, pass: password ?? '' }),
    ...(authenticator && { authenticator }),
  }
}

async function authenticatorOf({ nkey, credentialsFile }: NatsOptions): Promise<Authenticator | undefined> {
  if (credentialsFile !== undefined) return credsAuthenticator(await read(credentialsFile))
  return nkey === undefined ? undefined : nkeyAuthenticator(Buffer.from(nkey))
}

/** @throws NatsError if a file cannot be read */
async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (err) {
    throw new NatsError(`The file ${quote(file)} for the connection to NATS cannot be read: ${messageOf(err)}.`)
  }
}

/** Returns why the hub cannot use a server; `undefined`: it can. */
function faultOfServer({ info }: NatsConnection): string | undefined {
  const version = info?.version ?? 'unknown'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return `The server ${info?.server_name ?? ''} runs nats-server ${version}, and the hub needs ${OLDEST.join('.')} or newer: older ones have no atomic batches. Upgrade it.`
  return info?.headers === false
    ? 'The NATS server allows no headers (no_header_support), which the hub needs.'
    : undefined
}

function asNatsError({ servers, timeout }: NatsOptions, err: unknown): NatsError {
  return new NatsError(
    `NATS at ${servers.join(', ')} has not accepted the hub within ${timeout} ms: ${messageOf(err)}. Check FANFARE_LOG, the FANFARE_NATS_ settings, and whether the servers run.`,
    { cause: err },
  )
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message.replace(/\.$/, '') : String(err)
}
