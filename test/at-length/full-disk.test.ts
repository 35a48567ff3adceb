/**
 * A disk that is filled repeatedly while events are published: the hub survives, and no acknowledged event is lost.
 * `FULL_DISK_FILLINGS` is the total number of fillings, and `FULL_DISK_SEED` repeats the choices of a run.
 */
import t from 'tap'
import { fillWhilePublishing, type Filling } from '../helper/full-disk.js'
import { random } from '../helper/random.js'
import { skipExt4, skipMount } from '../helper/tmpfs.js'

const FILLINGS = Number(process.env['FULL_DISK_FILLINGS'] ?? 12)
const SEED = Number(process.env['FULL_DISK_SEED'] ?? Date.now() % 1_000_000)
const KINDS: Filling[] = [
  { durability: 'commit', fileSystem: 'tmpfs' },
  { durability: 'sync', fileSystem: 'tmpfs' },
  { durability: 'commit', fileSystem: 'ext4' },
  { durability: 'sync', fileSystem: 'ext4' },
]

t.setTimeout(FILLINGS * 60_000)
t.comment(`${FILLINGS} fillings, FULL_DISK_SEED=${SEED}`)

for (const [n, kind] of KINDS.entries()) {
  const rounds = Math.ceil(FILLINGS / KINDS.length)
  await t.test(
    `${rounds} fillings (${kind.durability}, ${kind.fileSystem})`,
    { skip: kind.fileSystem === 'tmpfs' ? skipMount : skipExt4 },
    async (t) => {
      for (let round = 0; round < rounds; round++)
        await t.test(`${round}`, (t) => fillWhilePublishing(t, kind, random(SEED + n * rounds + round)))
    },
  )
}
