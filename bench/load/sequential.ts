/** Sends one request again and again on a keep-alive connection, each after the answer to the one before. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Responses } from './responses.js'

/**
 * @param isMore whether to send the request once more
 * @throws Error if a request is refused
 */
export async function sendOneByOne(port: number, request: Buffer, isMore: () => boolean): Promise<void> {
  const responses = new Responses()
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  try {
    while (isMore()) {
      socket.write(request)
      for (let complete = 0; complete === 0;) {
        const [bytes] = (await once(socket, 'data')) as [Buffer]
        complete = responses.read(bytes, bytes.length)
      }
      if (responses.failure !== undefined) throw new Error(`a request was refused: ${responses.failure}`)
    }
  } finally {
    socket.destroy()
  }
}
