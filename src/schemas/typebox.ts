/**
 * All that is used of TypeBox, from one place: its seven hundred files take half the time in which a hub starts, so
 * that `npm run build` makes one of them (docs/performance.md).
 */
export { Type } from 'typebox'
export type { Static, TSchema } from 'typebox'
export { Compile } from 'typebox/compile'
