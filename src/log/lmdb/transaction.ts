/** Runs a transaction of LMDB. */
import type { RootDatabase } from 'lmdb'
import type { Durability } from '../durability.js'

/**
 * Runs `write` in a transaction. A transaction with a flush runs outside the event loop, which an fsync would block.
 * One without a flush runs synchronously, which costs less. If `write` throws, nothing is stored.
 * @throws the error of `write`, or the reason why the commit failed
 */
export async function transact<T>(root: RootDatabase, durability: Durability, write: () => T): Promise<T> {
  if (durability === 'commit') return root.transactionSync(write)
  // lmdb keeps the results of callbacks in a list, and V8 would move everything in it to the old generation
  let result!: T
  try {
    await root.childTransaction(() => void (result = write()))
  } catch (err) {
    throw await reasonOf(err)
  }
  return result
}

/** Returns the reason why a commit failed, which lmdb provides as a promise. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(
    () => err,
    (reason: unknown) => reason,
  )
}
