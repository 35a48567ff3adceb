/** A transaction of LMDB. */
import type { RootDatabase } from 'lmdb'
import type { Durability } from '../durability.js'

/**
 * What flushes runs outside the event loop, which an fsync would stop; what does not flush costs less within it. As a
 * child transaction nothing of it is left when `write` throws.
 */
export async function transact<T>(root: RootDatabase, durability: Durability, write: () => T): Promise<T> {
  if (durability === 'commit') return root.transactionSync(write)
  // lmdb keeps what a callback returns in a list of its own, from which V8 would copy everything into the old
  // generation
  let result!: T
  try {
    await root.childTransaction(() => void (result = write()))
  } catch (err) {
    throw await reasonOf(err)
  }
  return result
}

/** lmdb says why a commit failed by a promise of its own. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(
    () => err,
    (reason: unknown) => reason,
  )
}
