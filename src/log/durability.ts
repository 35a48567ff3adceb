/**
 * When an event is acknowledged: once it is flushed to disk (`sync`), or once it survives the end of the process, but
 * not a power failure (`commit`).
 */
export type Durability = 'sync' | 'commit'
