/** How V8 looks after the memory of a hub that is a process of its own. */
import { setFlagsFromString } from 'node:v8'

/**
 * V8 guesses which lines of code make objects that live long, and puts those into its old generation at once, which it
 * rarely looks through. Of a hub it guesses wrong: what is made for a publish lives while the disk is busy, what is
 * made for a slow reader while its socket is full. Without the guess a publish takes less CPU, and slow readers take
 * less memory (docs/performance.md).
 */
export function keepYoungObjectsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}
