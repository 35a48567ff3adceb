/** A folder that cannot be used as a log, with words for whoever has to do something about it. */
export class StoreError extends Error {
  override name = 'StoreError'
}

export const REMEDY = 'Restore a backup, or move the folder away to begin with an empty log.'

/** Says of any error which folder it is about, and what to do. */
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

export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
