/** The hub of an example, as a process of its own that can be restarted. */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface HubProcess {
  /**
   * Ends the hub, and starts it again.
   * @param onEnded called in between
   */
  restart(onEnded: () => void): void
  /** Ends the hub. */
  stop(): void
}

/** @param onExit called when the hub has ended, unless it is restarted */
export function startHub(env: Record<string, string>, onExit: (code: number | null) => void): HubProcess {
  /** `undefined`: the hub is not being restarted. */
  let onRestart: (() => void) | undefined
  let hub = start()

  function start(): ChildProcess {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
    })
    child.once('exit', (code) => {
      if (!onRestart) return onExit(code)
      onRestart()
      onRestart = undefined
      hub = start()
    })
    return child
  }

  return {
    restart(onEnded) {
      onRestart = onEnded
      hub.kill('SIGTERM')
    },
    stop() {
      onRestart = undefined
      hub.kill('SIGTERM')
    },
  }
}
