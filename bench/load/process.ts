/** The main file of a load process: runs the commands of its parent one after the other. */
import { commands, type CommandName } from './commands.js'

export interface Request {
  name: CommandName
  input: unknown
}

/** The answer to a request. */
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
