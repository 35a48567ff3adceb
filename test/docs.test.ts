/** The tables of the docs say what the code does. */
import t from 'tap'
import { pages } from '../scripts/docs.js'

for (const { path, written, current } of pages()) {
  t.equal(written, current, `${path} is up to date (else: npm run docs)`)
}
