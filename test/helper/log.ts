/** Shorthands for the reads that tests often make of a log. */
export { locateNewest, locateTime, readFrom, scanAll, type PageRead } from '../../src/log/contract/reads.js'
