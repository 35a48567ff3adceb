/** The settings of V8's garbage collector for a hub in a process of its own. */
import { setFlagsFromString } from 'node:v8'

/**
 * Turns off pretenuring: V8 predicts which allocation sites create long-lived objects, and allocates these in the old
 * generation, which it collects rarely. The prediction is wrong for a hub. Objects of a publish live until the flush to
 * disk, and objects of a slow subscriber until its socket drains. Without pretenuring a publish takes less CPU, and
 * slow subscribers take less memory (docs/performance.md).
 */
export function disablePretenuring(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}
