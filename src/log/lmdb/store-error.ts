/** The error of a folder that cannot be used as a log. Its message tells the operator the remedy. */
export class StoreError extends Error {
  override name = 'StoreError'
}

export const REMEDY = 'Restore a backup, or move the folder away to begin with an empty log.'

/** Returns an error that names the folder and the remedy. */
export function asStoreError(folder: string, err: unknown): StoreError {
  if (err instanceof StoreError)
    return err.message.includes(folder)
      ? err
      : new StoreError(`The log in ${folder} cannot be used: ${err.message} ${REMEDY}`, { cause: err })
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
