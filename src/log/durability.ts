/**
 * When an event is acknowledged: `sync`, when it is flushed to disk; `commit`, when it survives the process, but not
 * the power.
 */
export type Durability = 'sync' | 'commit'
