/** A disk that another process fills while events are published. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { poll } from './deadline.js'
import { history, post, request, send, type Published } from './http.js'
import { startHub, type Hub } from './process.js'
import type { Random } from './random.js'
import { mountExt4, mountTmpfs } from './tmpfs.js'
import { anyTopic, token } from './token.js'

const PUBLISHERS = 4
const TOPICS = 3

export interface Filling {
  durability: 'sync' | 'commit'
  fileSystem: 'tmpfs' | 'ext4'
}

/**
 * Fills a small file system while events are published. The hub must refuse events and stay up. After a kill it must
 * start on the full disk, read, and purge. Once there is space the hub must accept events again. No acknowledged event
 * may be lost.
 */
export async function fillWhilePublishing(t: Test, { durability, fileSystem }: Filling, random: Random): Promise<void> {
  const disk = fileSystem === 'tmpfs' ? mountTmpfs(t, 40) : mountExt4(t, 48)
  const env = {
    FANFARE_LOG: `file:${disk.folder}/log`,
    FANFARE_DURABILITY: durability,
    FANFARE_RETAIN_EVENTS: '1000000',
    FANFARE_DRAIN: '100ms',
  }
  const admin = token({ publish: ['**'], subscribe: ['**'], admin: true })
  const acknowledged = new Set<string>()
  let hub = await startHub(t, env)

  const until = { isOver: false }
  const publishing = Promise.all(Array.from({ length: PUBLISHERS }, () => publish(hub, acknowledged, random, until)))
  await delay(random.below(300)) // the disk becomes full at any moment
  disk.fill()
  const status = await poll(
    async () => ((await ready(hub)) === 503 ? 503 : undefined),
    () => `the hub still stores events on a full disk: ${hub.output().slice(-500)}`,
  )
  t.equal(status, 503, 'the hub is not ready on a full disk')
  until.isOver = true
  await publishing
  t.strictSame(await missing(hub, acknowledged), [], 'every acknowledged event can be read')

  await hub.kill()
  hub = await startHub(t, env)
  t.strictSame(
    await missing(hub, acknowledged),
    [],
    'every acknowledged event can be read after a kill and a start on the full disk',
  )
  const purged = await send(hub, 'DELETE', '/topics/t.0/events', { token: admin })
  t.equal(purged.status, 200, `a purge has space: ${JSON.stringify(purged.body)}`)
  const left = new Set([...acknowledged].filter((entry) => !entry.startsWith('t.0 ')))
  t.strictSame(await missing(hub, left), [], 'a purge removes no event of other topics')

  disk.free()
  await poll(
    async () => ((await ready(hub)) === 200 ? true : undefined),
    () => `the hub does not recover: ${hub.output().slice(-500)}`,
  )
  const { status: published } = await post(`${hub.url}/topics/t.1/events`, { text: 'there is space again' }, anyTopic())
  t.equal(published, 201)
  t.equal(await hub.stop(), 0)
}

async function publish(hub: Hub, acknowledged: Set<string>, random: Random, until: { isOver: boolean }): Promise<void> {
  const bearer = anyTopic()
  while (!until.isOver) {
    const topic = `t.${random.below(TOPICS)}`
    const { status, body } = await post<Published>(
      `${hub.url}/topics/${topic}/events`,
      { text: 'p'.repeat(random.below(3_000)) },
      bearer,
    )
    if (status === 201) acknowledged.add(`${topic} ${body.id}`)
    else await delay(10)
  }
}

async function ready(hub: Hub): Promise<number> {
  return (await request(`${hub.url}/health/ready`)).status
}

/** Returns the acknowledged events that the log lacks, as `<topic> <id>`. */
async function missing(hub: Hub, acknowledged: ReadonlySet<string>): Promise<string[]> {
  const found = new Set<string>()
  for (let topic = 0; topic < TOPICS; topic++) {
    for (let after: string | undefined, more = true; more;) {
      const { body } = await history(
        hub,
        `t.${topic}`,
        `limit=1000${after === undefined ? '' : `&after=${after}`}`,
        anyTopic(),
      )
      for (const { id } of body.events) found.add(`t.${topic} ${id}`)
      after = body.cursor
      more = body.more
    }
  }
  return [...acknowledged].filter((entry) => !found.has(entry))
}
