/** The error of a folder that cannot be used as a log. Its message tells the operator the remedy. */
export class StoreError extends Error {
  override name = 'StoreError'
}

/** The error of a process that has the id of another process of the folder. Another process id helps. */
export class SameProcessIdError extends StoreError {
  override name = 'SameProcessIdError'

  constructor(folder: string, cause?: unknown) {
    super(
      `The log in ${folder} is in use by a process with the id of this one (pid ${process.pid}), in another PID namespace. Give both containers one PID namespace (docker run --pid=container:<other>, shareProcessNamespace), or each a folder of its own.`,
      { cause },
    )
  }
}

/**
 * The errors of lmdb if another process has registered the id of this one as that of a reader. In the last case, lmdb
 * has tried in vain to begin a transaction, and goes on without one.
 */
const ID_TAKEN = /No transaction to renew|No current read transaction|of null \(reading '(address|use)'\)/

export const REMEDY = 'Restore a backup, or move the folder away to begin with an empty log.'

/** Returns an error that names the folder and the remedy. */
export function asStoreError(folder: string, err: unknown): StoreError {
  if (err instanceof StoreError)
    return err.message.includes(folder)
      ? err
      : new StoreError(`The log in ${folder} cannot be used: ${err.message} ${REMEDY}`, { cause: err })
  if (ID_TAKEN.test(messageOf(err))) return new SameProcessIdError(folder, err)
  return new StoreError(
    `The log in ${folder} cannot be opened (${messageOf(err)}). Check the folder's owner and the disk. If it is damaged: ${REMEDY}`,
    { cause: err },
  )
}

/**
 * Returns the result of `read`; `undefined` if the value is damaged.
 * @param onDamage called if the value is damaged
 */
export function unlessDamaged<T>(read: () => T, onDamage?: () => void): T | undefined {
  try {
    return read()
  } catch (err) {
    if (!(err instanceof StoreError)) throw err
    onDamage?.()
    return undefined
  }
}

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
