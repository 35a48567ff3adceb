/** Whether a hub is open, drains, or is closed. */
import { HubError } from '../model/hub-error.js'

export class Lifecycle {
  #state: 'open' | 'draining' | 'closed' = 'open'
  /** Whether the hub is about to close, so that long requests must end. */
  #isEnding = false

  /** Whether streams are being ended because the hub is about to stop. */
  get draining(): boolean {
    return this.#state !== 'open'
  }

  /**
   * Starts to drain.
   * @returns `false` if the hub already drains or is closed
   */
  drain(): boolean {
    if (this.#state !== 'open') return false
    this.#state = 'draining'
    return true
  }

  /** Makes `requireTime` throw from now on, since the hub is about to close. */
  end(): void {
    this.drain()
    this.#isEnding = true
  }

  close(): void {
    this.#state = 'closed'
  }

  /** @throws HubError `hub-closed` if the hub is closed */
  requireOpen(): void {
    if (this.#state === 'closed') throw new HubError('hub-closed', 'The hub is closed.')
  }

  /** @throws HubError `hub-closed` if the hub is about to close */
  requireTime(): void {
    if (this.#isEnding)
      throw new HubError('hub-closed', 'The hub is about to stop, and can wait no longer for this request.')
  }
}
