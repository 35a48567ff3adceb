/**
 * When an event is acknowledged. `sync`: it is flushed to disk. `commit`: it survives the end of the process, but not a
 * power failure.
 */
export type Durability = 'sync' | 'commit'
