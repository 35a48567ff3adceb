/**
 * Finds peers that have vanished silently: a phone without reception, a sleeping laptop, a NAT that dropped its entry.
 * Small events and heartbeats fit into the kernel's buffer, and the kernel retries for a quarter of an hour
 * (net.ipv4.tcp_retries2), so Node gets no error. Linux lists for all TCP sockets the number of retries without an
 * answer (proc(5), /proc/net/tcp): retransmissions (RFC 6298, 5) and zero-window probes (RFC 9293, 3.8.6.1). Any packet
 * of the peer resets the number, so a peer that is alive but does not read is not found.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Socket } from 'node:net'
import { endianness } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { TimeSlice } from '../event-loop/time-slice.js'
import { canonicalAddress } from '../model/client-address.js'
import { monotonicNow } from '../model/clock.js'

/** The kernel's tables of the TCP sockets in the network namespace of the process. */
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
/** The minimum number of retries. A reachable peer may have one: its answer is on the way. */
const TRIES = 2
/** How many checks in a row must find a peer unreachable, each with at least as many retries as the previous one. */
const CHECKS = 3
/**
 * The part of the time that checks may take. The tables have the sockets of all processes of the machine, so a check of
 * a hundred thousand takes about 0.1 s.
 */
const MAX_SHARE = 0.01
/** The size of the buffer for reads, in bytes. The kernel returns at most one page. */
const READ_BYTES = 4_096
const NEWLINE = 0x0a
const COLON = 0x3a
const ZERO = 0x30

/** The part of a stream's sink that is used here. */
export interface Reachable {
  /** The socket of the stream, its own or shared by HTTP/2 streams; `undefined` for an injected request. */
  readonly connection: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localPort'> | undefined
  /** Closes the connection at once. */
  abandon(): void
}

/** A socket whose peer does not answer. */
export interface Unreachable {
  localPort: number
  remoteAddress: string
  remotePort: number
  /** The number of retries since the last answer. */
  tries: number
}

export interface VanishedPeersOptions {
  /** The sinks that are open. */
  sinks: Iterable<Reachable>
  /** The interval between two checks, in milliseconds. The hub must send something to every peer in this time. */
  interval: number
  /** Called once if the tables cannot be read. The checks end then. */
  onUnreadable: (err: unknown) => void
  /** For tests. */
  tables?: readonly string[]
}

export class VanishedPeers {
  readonly #options: VanishedPeersOptions
  readonly #timer: NodeJS.Timeout
  /** Per sink: how many checks in a row found its peer unreachable, and the retries at the last check. */
  #suspects = new Map<Reachable, { checks: number; tries: number }>()
  #isChecking = false
  /** When the next check may begin, on the monotonic clock. */
  #restsUntil = -Infinity

  constructor(options: VanishedPeersOptions) {
    this.#options = options
    this.#timer = setInterval(() => {
      if (monotonicNow() >= this.#restsUntil) void this.check()
    }, options.interval).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Reads the tables once, and closes the connections of vanished peers. */
  async check(): Promise<void> {
    if (this.#isChecking) return
    this.#isChecking = true
    try {
      const { found, work } = await readUnreachable(this.#options.tables ?? TABLES)
      this.#restsUntil = monotonicNow() + work / MAX_SHARE
      this.#judge(found)
    } catch (err) {
      this.stop()
      this.#options.onUnreadable(err)
    } finally {
      this.#isChecking = false
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
      const checks = last && last.tries <= tries ? last.checks + 1 : 1
      if (checks >= CHECKS) sink.abandon()
      else this.#suspects.set(sink, { checks, tries })
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

/**
 * Reads the kernel's tables in slices. A read returns one page, and twenty thousand sockets take 700 pages: by threads
 * each page would cost several times as much.
 * @returns the sockets, and the time that the reads have blocked the event loop, in milliseconds
 */
async function readUnreachable(tables: readonly string[]): Promise<{ found: Unreachable[]; work: number }> {
  const found: Unreachable[] = []
  let work = 0
  for (const table of tables) {
    let file: number
    try {
      file = openSync(table, 'r')
    } catch (err) {
      const isMissing = (err as NodeJS.ErrnoException).code === 'ENOENT'
      if (table === tables[0] || !isMissing) throw err
      continue // the machine may have no IPv6
    }
    try {
      const reader = new TableReader(file, found)
      for (let hasMore = true; hasMore;) {
        const slice = new TimeSlice()
        do hasMore = reader.readPage()
        while (hasMore && !slice.isOver)
        work += monotonicNow() - slice.now
        await setImmediate()
      }
    } finally {
      closeSync(file)
    }
  }
  return { found, work }
}

/** Reads a table page by page. */
class TableReader {
  readonly #file: number
  readonly #found: Unreachable[]
  /** The beginning of a row of which the last page had only a part, and the next page. */
  readonly #buffer = Buffer.alloc(2 * READ_BYTES)
  #kept = 0

  /** @param found gets the sockets whose peers do not answer */
  constructor(file: number, found: Unreachable[]) {
    this.#file = file
    this.#found = found
  }

  /** Returns whether there may be more. */
  readPage(): boolean {
    const length = readSync(this.#file, this.#buffer, this.#kept, READ_BYTES, null)
    const bytes = this.#buffer.subarray(0, this.#kept + length)
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
      const socket = readRow(bytes, from, end)
      if (socket) this.#found.push(socket)
      from = end + 1
    }
    bytes.copy(this.#buffer, 0, from)
    this.#kept = bytes.length - from
    return length > 0
  }
}

/**
 * Reads a row: `sl: local:port remote:port st tx_queue:rx_queue tr:when retrnsmt uid timeout inode …`. `timeout` is the
 * number of unanswered probes.
 * @returns `undefined` for a socket without retries; most sockets have an empty queue, and no other field is parsed
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

/** Returns an address in its canonical form. The kernel prints words of 32 bits in the byte order of the machine. */
function printAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  return canonicalAddress((bytes.toString('hex').match(/.{4}/g) ?? []).join(':'))
}
