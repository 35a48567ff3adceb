/** A proxy that cuts each connection after a random number of bytes of the server's answer. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Random } from '../../../test/helper/random.js'

export interface CuttingProxy {
  readonly url: string
  /** The number of cuts so far. */
  readonly cuts: number
  /** Cuts no more connections. */
  stopCutting(): void
}

/** @param most the largest number of bytes that a connection carries */
export async function cuttingProxy(t: Test, url: string, random: Random, most: number): Promise<CuttingProxy> {
  const { hostname, port } = new URL(url)
  let isCutting = true
  let cuts = 0
  const server = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port) })
    let left = 1 + random.below(most)
    near.on('error', () => undefined).on('close', () => far.destroy())
    far.on('error', () => undefined).on('close', () => near.destroy())
    near.pipe(far)
    far.on('data', (piece: Buffer) => {
      near.write(isCutting ? piece.subarray(0, left) : piece)
      left -= piece.length
      if (!isCutting || left > 0) return
      cuts++
      near.end()
      far.destroy()
    })
    t.teardown(() => near.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts
    },
    stopCutting: () => void (isCutting = false),
  }
}
