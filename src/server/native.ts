/**
 * The ways past Node's public API in which the hub uses sockets. Each of them is in a file of its own, which looks at
 * the start whether this Node has what it needs. Where it has not, or with `off`, the same is done by Node's public
 * API, at a higher cost.
 */
import { acceptBurstFault } from './accept-burst.js'
import { detachFault } from './detach.js'
import { directWriterFault } from './direct-writer.js'
import { idleConnectionsFault } from './idle-connections.js'

/** Returns why a way cannot be used on this Node; `undefined` when it can. */
type SelfTest = () => string | undefined

const SELF_TESTS = {
  /** Plain sockets are written past the buffer of their streams. */
  directWriter: directWriterFault,
  /** The socket of a stream leaves Node's HTTP. */
  detach: detachFault,
  /** Connections with a request are told from idle ones by what Node's HTTP notes on its sockets. */
  idleConnections: idleConnectionsFault,
  /** All who connect at once are accepted before the first of them is answered. */
  acceptBurst: acceptBurstFault,
} as const satisfies Record<string, SelfTest>

type Path = keyof typeof SELF_TESTS
const PATHS = Object.keys(SELF_TESTS) as Path[]

/** Which ways are used. */
export type NativePaths = Readonly<Record<Path, boolean>>

/** Which ways are used, and why the others are not. */
export interface NativeSockets {
  paths: NativePaths
  reasons: Partial<Record<Path, string>>
}

/** The results of the self-tests, which depend on nothing but Node. */
const faults = new Map<SelfTest, string | undefined>()

/** @param selfTests for tests */
export function nativeSockets(
  setting: 'auto' | 'off',
  selfTests: Readonly<Record<Path, SelfTest>> = SELF_TESTS,
): NativeSockets {
  const reasonOf = (path: Path) => (setting === 'off' ? 'switched off' : faultOf(selfTests[path]))
  const reasons = Object.fromEntries(
    PATHS.map((path) => [path, reasonOf(path)]).filter(([, reason]) => reason !== undefined),
  ) as NativeSockets['reasons']
  return { paths: Object.fromEntries(PATHS.map((path) => [path, reasons[path] === undefined])) as NativePaths, reasons }
}

/**
 * What the log says of it at the start.
 * @param isOwn the server is the hub's own: those of an application accept connections as Node does
 */
export function describeNative({ paths, reasons }: NativeSockets, isOwn: boolean): [fields: object, message: string] {
  const used = PATHS.filter((path) => isOwn || path !== 'acceptBurst')
  const native = used.filter((path) => paths[path]).length
  const message =
    native === used.length ? 'native' : native === 0 ? "by Node's public API" : "in part by Node's public API"
  const only = (values: Partial<Record<Path, unknown>>) =>
    Object.fromEntries(used.filter((path) => values[path] !== undefined).map((path) => [path, values[path]]))
  return [
    { nativeSockets: only(paths), ...(native === used.length ? {} : { reasons: only(reasons) }) },
    `sockets: ${message}`,
  ]
}

function faultOf(selfTest: SelfTest): string | undefined {
  if (!faults.has(selfTest)) faults.set(selfTest, selfTest())
  return faults.get(selfTest)
}
