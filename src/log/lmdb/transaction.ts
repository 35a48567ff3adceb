/** Runs transactions of LMDB, each on the newest one. */
import type { Durability } from '../durability.js'
import type { WritableTables } from './tables.js'
import { OutdatedError } from './transaction-guard.js'

/** The part of the tables that runs transactions. */
type Transactions = Pick<WritableTables, 'root' | 'guard'>

/** How often a transaction begins again. One more attempt follows each process that opens the folder meanwhile. */
const ATTEMPTS = 100

/**
 * Runs `write` in a transaction. A transaction with a flush runs outside the event loop, which an fsync would block.
 * One without a flush runs synchronously, which costs less. If `write` throws, nothing is stored.
 * @throws the error of `write`, or the reason why the commit failed
 */
export async function transact<T>(tables: Transactions, durability: Durability, write: () => T): Promise<T> {
  if (durability === 'commit') return transactSync(tables, write)
  const { root } = tables
  for (let attempt = 1; ; attempt++) {
    // lmdb keeps the results of callbacks in a list, and V8 would move everything in it to the old generation
    let result!: T
    try {
      await root.childTransaction(() => {
        tables.guard.check(root.getWriteTxnId())
        result = write()
      })
      return result
    } catch (err) {
      if (!(err instanceof OutdatedError) || attempt === ATTEMPTS) throw await reasonOf(err)
    }
  }
}

/**
 * Runs `write` in a transaction, synchronously. If `write` throws, nothing is stored.
 * @throws the error of `write`, or the reason why the commit failed
 */
export function transactSync<T>({ root, guard }: Transactions, write: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return root.transactionSync(() => {
        guard.check(root.getWriteTxnId())
        return write()
      })
    } catch (err) {
      if (!(err instanceof OutdatedError) || attempt === ATTEMPTS) throw err
    }
  }
}

/** Returns the reason why a commit failed, which lmdb provides as a promise. */
async function reasonOf(err: unknown): Promise<unknown> {
  if (!(err instanceof Error) || !('commitError' in err)) return err
  return Promise.resolve(err.commitError).then(
    () => err,
    (reason: unknown) => reason,
  )
}
