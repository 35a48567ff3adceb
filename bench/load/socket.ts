/** Opens the sockets of the load, with TLS if the hub speaks it. */
import net, { type OnReadOpts, type Socket } from 'node:net'
import tls from 'node:tls'

export interface SocketPlan {
  port: number
  /** Whether the server speaks TLS. Its certificate is not verified, since the bench has created it. */
  isTls: boolean
  onread: OnReadOpts
  localAddress?: string
  localPort?: number
}

/** @param onConnect called when the socket can be written to: with TLS, after the handshake */
export function openSocket({ isTls, ...plan }: SocketPlan, onConnect?: () => void): Socket {
  const options = { ...plan, host: '127.0.0.1', noDelay: true }
  if (!isTls) return net.connect(options, onConnect)
  return tls.connect({ ...options, rejectUnauthorized: false } as tls.ConnectionOptions, onConnect)
}
