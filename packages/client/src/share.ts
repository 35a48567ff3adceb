/** Loads what shares a stream among tabs, where they can share one. */
import type { OpenSource } from './lane.js'
import { createSharedStream, type SharedStream } from './shared-stream.js'

/**
 * Returns a source that shares its stream with the other tabs of the origin, or has one of its own where tabs cannot
 * share.
 * @param lane differs between lanes
 */
export function shareAmongTabs(lane: string): OpenSource {
  return (http, user) => {
    // browsers with Web Locks have BroadcastChannel too
    if (!('document' in globalThis && (navigator as Partial<Navigator>).locks)) return createSharedStream(http, user)
    let source: SharedStream | undefined
    void import('./tabs.js')
      .then(
        ({ createTabs }) => createTabs(http, user, lane),
        () => createSharedStream(http, user), // the file cannot be loaded
      )
      .then((loaded) => {
        source = loaded
        source.sync()
      })
    return { sync: () => source?.sync(), stop: () => source?.stop() }
  }
}
