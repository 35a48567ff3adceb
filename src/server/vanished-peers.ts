/**
 * Finds the peers that have vanished without a word: a phone without reception, a laptop that sleeps, a NAT that has
 * forgotten. Small events and heartbeats fit into the kernel's buffer, and the kernel tries again for a quarter of an
 * hour (net.ipv4.tcp_retries2), so that Node hears nothing. Linux says of all TCP sockets at once how often in a row
 * each has tried in vain (proc(5), /proc/net/tcp): by sending again (RFC 6298, 5) or by asking for room (RFC 9293,
 * 3.8.6.1). Any sign of life of the peer sets that back to nothing, so a peer that is there but does not read is none
 * of these.
 */
import { createReadStream } from 'node:fs'
import type { Socket } from 'node:net'
import { endianness } from 'node:os'
import { canonicalAddress } from '../model/client-address.js'

/** The kernel's tables of TCP sockets, of the network namespace that the process is in. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
/** A peer that is there may be found with one try in vain: the answer is on its way. */
const TRIES = 2
/** At so many looks in a row a peer has to be found unreachable, with no fewer tries than before. */
const LOOKS = 3
const NEWLINE = 0x0a
const COLON = 0x3a
const ZERO = 0x30

/** A stream's sink, as far as it matters here. */
export interface Reachable {
  /** The socket that its bytes go to, if it has one of its own or shares one. */
  readonly connection: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localPort'> | undefined
  /** Gives the peer up: closes at once. */
  abandon(): void
}

/** A socket of which the kernel has heard nothing since it sent something. */
export interface Unreachable {
  localPort: number
  remoteAddress: string
  remotePort: number
  /** How often the kernel has tried in vain since then. */
  tries: number
}

export interface VanishedPeersOptions {
  /** The sinks that are open. */
  sinks: Iterable<Reachable>
  /** How often the tables are read, in milliseconds. In that time something is sent to every peer. */
  interval: number
  /** Told once when the tables cannot be read; there are no more looks then. */
  onUnreadable: (err: unknown) => void
  /** For tests. */
  tables?: readonly string[]
}

export class VanishedPeers {
  readonly #options: VanishedPeersOptions
  readonly #timer: NodeJS.Timeout
  /** At how many looks in a row each sink's peer was unreachable, and how many tries there were at the last one. */
  #suspects = new Map<Reachable, { looks: number; tries: number }>()
  #isLooking = false

  constructor(options: VanishedPeersOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.look(), options.interval).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Reads the tables once, and gives up the peers that have vanished. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      this.#judge(await readUnreachable(this.#options.tables ?? TABLES))
    } catch (err) {
      this.stop()
      this.#options.onUnreadable(err)
    } finally {
      this.#isLooking = false
    }
  }

  #judge(unreachable: readonly Unreachable[]): void {
    const before = this.#suspects
    this.#suspects = new Map()
    if (unreachable.length === 0) return
    const byPort = groupByPort(unreachable)
    for (const sink of this.#options.sinks) {
      const { connection } = sink
      const found =
        connection?.remotePort === undefined
          ? undefined
          : byPort.get(connection.remotePort)?.find((socket) => isOf(socket, connection))
      if (!found) continue
      const { tries } = found
      const last = before.get(sink)
      const looks = last && last.tries <= tries ? last.looks + 1 : 1
      if (looks >= LOOKS) sink.abandon()
      else this.#suspects.set(sink, { looks, tries })
    }
  }
}

function groupByPort(sockets: readonly Unreachable[]): Map<number, Unreachable[]> {
  const byPort = new Map<number, Unreachable[]>()
  for (const socket of sockets) {
    const others = byPort.get(socket.remotePort)
    if (others) others.push(socket)
    else byPort.set(socket.remotePort, [socket])
  }
  return byPort
}

function isOf({ remoteAddress, localPort }: Unreachable, connection: NonNullable<Reachable['connection']>): boolean {
  return canonicalAddress(connection.remoteAddress ?? '') === remoteAddress && connection.localPort === localPort
}

/** Reads the kernel's tables in small parts: with twenty thousand sockets they have some megabytes. */
async function readUnreachable(tables: readonly string[]): Promise<Unreachable[]> {
  const found: Unreachable[] = []
  for (const table of tables) {
    let rest: Buffer = Buffer.alloc(0)
    try {
      for await (const part of createReadStream(table) as AsyncIterable<Buffer>) {
        const bytes = rest.length > 0 ? Buffer.concat([rest, part]) : part
        let from = 0
        for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
          const socket = readRow(bytes, from, end)
          if (socket) found.push(socket)
          from = end + 1
        }
        rest = bytes.subarray(from)
      }
    } catch (err) {
      if (table === tables[0] || (err as NodeJS.ErrnoException).code !== 'ENOENT') throw err // there may be no IPv6
    }
  }
  return found
}

/**
 * Reads a row: `sl: local:port remote:port st tx_queue:rx_queue tr:when retrnsmt uid timeout inode …`, where `timeout`
 * is the number of probes that were not answered.
 * @returns `undefined` when nothing is wrong with the socket; of nearly all no more than the queue is looked at
 */
function readRow(bytes: Buffer, from: number, end: number): Unreachable | undefined {
  const local = bytes.indexOf(COLON, from) + 2
  const localPort = bytes.indexOf(COLON, local) + 1
  const remote = localPort + 5
  const remotePort = bytes.indexOf(COLON, remote) + 1
  const queue = remotePort + 8
  if (local < 2 || localPort < 1 || remotePort < 1 || queue + 8 > end || isZero(bytes, queue)) return undefined
  const [, , , , retransmissions = '', , probes = ''] = bytes
    .toString('latin1', remotePort, end)
    .trim()
    .split(/ +/)
    .slice(0, 7)
  const tries = Number.parseInt(retransmissions, 16) + Number.parseInt(probes, 10)
  if (!(tries >= TRIES)) return undefined
  return {
    localPort: Number.parseInt(bytes.toString('latin1', localPort, localPort + 4), 16),
    remoteAddress: printAddress(bytes.toString('latin1', remote, remotePort - 1)),
    remotePort: Number.parseInt(bytes.toString('latin1', remotePort, remotePort + 4), 16),
    tries,
  }
}

function isZero(bytes: Buffer, from: number): boolean {
  for (let index = from; index < from + 8; index++) if (bytes[index] !== ZERO) return false
  return true
}

/**
 * Returns an address in its canonical form. The kernel prints it in words of 32 bits, each in the order of the machine.
 */
function printAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  return canonicalAddress((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'))
}
