/**
 * The comparison for `stream-appends`: the Node server of the Durable Streams protocol. The bench does not install it.
 * Arguments: the folder in which `@durable-streams/server` is installed, and the folder of its files; without the
 * latter it keeps everything in memory.
 */
import { durableStreamsEntry } from './durable-streams-package.js'

interface TestServer {
  start(): Promise<string>
}

const [, , folder, dataDir] = process.argv
const { DurableStreamTestServer } = (await import(durableStreamsEntry(folder!))) as {
  DurableStreamTestServer: new (options: { port: number; dataDir?: string }) => TestServer
}
const server = new DurableStreamTestServer({ port: 0, ...(dataDir !== undefined && { dataDir }) })
console.log(JSON.stringify({ address: await server.start() }))
