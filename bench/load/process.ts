/** The main file of a load process: carries out one command after the other that its parent sends. */
import { commands, type CommandName } from './commands.js'

export interface Request {
  name: CommandName
  input: unknown
}

/** What it sends for each request, in their order. */
export type Answer = { output: unknown } | { error: string }

const run = commands as unknown as Record<string, (input: unknown) => Promise<unknown>>

process.on('message', (request: Request) => {
  void answer(request).then((answered) => process.send!(answered))
})
process.on('disconnect', () => process.exit())

async function answer({ name, input }: Request): Promise<Answer> {
  try {
    return { output: await run[name]!(input) }
  } catch (err) {
    return { error: err instanceof Error ? (err.stack ?? err.message) : String(err) }
  }
}
