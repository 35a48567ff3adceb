/** A folder that cannot be used as a log, with words for whoever has to do something about it. */
export class StoreError extends Error {
  override name = 'StoreError'
}
