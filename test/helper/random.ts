import { Random as Source } from '../../src/log/contract/random.js'

/** A source of pseudo-random numbers. The same seed gives the same test. */
export type Random = Pick<Source, 'below' | 'pick'>

export function random(seed: number): Random {
  return new Source(seed)
}
