/**
 * The only module that imports TypeBox. Loading its seven hundred files takes half of a hub's start-up time, so
 * `npm run build` bundles this module into one file (docs/performance.md).
 */
export { Type } from 'typebox'
export type { Static, TSchema } from 'typebox'
export { Compile } from 'typebox/compile'
