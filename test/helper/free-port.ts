import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Returns a free port below the range of client ports. Otherwise a client could take the port before the hub restarts
 * (ip_local_port_range, ip(7)).
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
