/**
 * Lists the fast paths that bypass Node's public API for sockets. Each fast path has its own file with a self-test,
 * which runs once at the start. If the self-test fails, or with the setting `off`, the hub uses Node's public API at a
 * higher cost.
 */
import { acceptBurstFault } from './accept-burst.js'
import { detachFault } from './detach.js'
import { directWriterFault } from './direct-writer.js'
import { idleConnectionsFault } from './idle-connections.js'

/** Returns why this version of Node does not support a fast path; `undefined` if it does. */
type SelfTest = () => string | undefined

const SELF_TESTS = {
  /** Writes to plain sockets without the buffer of Node's streams. */
  directWriter: directWriterFault,
  /** Detaches the socket of a stream from Node's HTTP. */
  detach: detachFault,
  /** Finds idle connections by the marks of Node's HTTP on sockets. */
  idleConnections: idleConnectionsFault,
  /** Accepts all connections of a burst before answering the first. */
  acceptBurst: acceptBurstFault,
} as const satisfies Record<string, SelfTest>

type Path = keyof typeof SELF_TESTS
const PATHS = Object.keys(SELF_TESTS) as Path[]

/** Which fast paths are used. */
export type NativePaths = Readonly<Record<Path, boolean>>

/** Which fast paths are used, and why the others are not. */
export interface NativeSockets {
  paths: NativePaths
  reasons: Partial<Record<Path, string>>
}

/** The results of the self-tests, which depend on the version of Node only. */
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
 * Returns the log message about the fast paths.
 * @param isOwn whether the server is the hub's own; servers of an application never use `acceptBurst`
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
