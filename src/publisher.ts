/**
 * The exports of `fanfare/publisher`: publishes from any process that sees the folder of a log, without a server. The
 * process joins the hubs that use the folder as one of their nodes.
 */
import { Hub } from './hub/hub.js'
import type { Receipt } from './hub/publisher.js'
import { folderOf, isLogAddress, type LogAddress } from './log/address.js'
import { openLog } from './log/open.js'
import { HubError } from './model/hub-error.js'
import type { EventInput } from './model/event.js'
import { quote } from './model/quote.js'
import { tracedPublish, tracedPublishAll } from './hub/traced-publish.js'
import { Traces, type Failure } from './observe/traces.js'
import { SettingsError } from './model/settings-error.js'
import { hubOptions, resolveSettings, type Settings } from './settings.js'
import { version } from './model/version.js'

export { HubError, type EventFault, type HubErrorCode } from './model/hub-error.js'
export type { EventInput } from './model/event.js'
export { SettingsError } from './model/settings-error.js'

/**
 * The settings of the hubs that use the folder, as options of the plugin. A publisher needs only those of the log and
 * the limits, and ignores the others.
 */
export interface PublisherOptions extends Partial<Settings> {
  /** Receives errors of background work, such as a log that cannot be written. */
  onError?: ((err: unknown, message: string) => void) | undefined
}

/** The result of publishing one event. A publisher does not know how many subscribers get it. */
export type PublishedEvent = Omit<Receipt, 'subscribers'>

/** Publishes to the log in a folder. */
export interface FolderPublisher {
  /**
   * Publishes one event. Resolves when the event is durable.
   * @throws HubError naming the fault of the event, or the state of the log
   */
  publish(topic: string, event: EventInput): Promise<PublishedEvent>
  /**
   * Publishes up to 1,000 events, all or none. Resolves when the events are durable.
   * @throws HubError as `publish`; its `index` is the index of the refused event
   */
  publishAll(events: readonly (EventInput & { topic: string })[]): Promise<PublishedEvent[]>
  /** Waits for the pending events, and leaves the folder. Call it before the process exits. */
  close(): Promise<void>
}

/**
 * Opens a publisher. While no hub runs, the publisher itself writes the log and trims it, so its options should equal
 * the settings of the hub.
 * @param log the folder of the log, as in `FANFARE_LOG`: `file:<folder>`
 * @throws SettingsError if an argument is invalid, StoreError if the folder cannot be used
 */
export async function openPublisher(
  log: LogAddress,
  { onError = () => undefined, ...options }: PublisherOptions = {},
): Promise<FolderPublisher> {
  if (typeof log !== 'string' || !isLogAddress(log) || folderOf(log) === undefined) {
    throw new SettingsError(
      `A publisher needs the folder of a log (file:<folder>), which it shares with the hub, and not ${quote(log)}.`,
    )
  }
  const settings = resolveSettings({ ...options, log })
  const typedTopics =
    settings.schemas === undefined
      ? undefined
      : (await import('./hub/typed-topics/typed-topics.js')).TypedTopics.open(settings.schemas)
  const opened = await openLog(settings, {
    onHealth: (err) => err && onError(err, 'events cannot be stored'),
    onDamage: (what) => onError(new Error(`damaged: ${what}`), 'the log is damaged: subscribers get a gap there'),
  })
  const hub = await Hub.open(opened.log, {
    ...hubOptions(settings),
    version,
    typedTopics,
    ...(opened.cluster && { cluster: opened.cluster }),
    onError,
  })
  const traces = new Traces(version, failureOf)
  await traces.prepare()
  return {
    publish: async (topic, event) => withoutSubscribers(await tracedPublish(hub, traces, topic, event)),
    publishAll: async (events) => (await tracedPublishAll(hub, traces, events)).map(withoutSubscribers),
    close: () => hub.close(),
  }
}

function failureOf(err: unknown): Failure {
  const isKnown = err instanceof HubError
  const code = isKnown ? err.code : 'internal-error'
  return { code, message: String(err), isFault: !isKnown || code === 'log-unavailable' }
}

function withoutSubscribers({ id, topic, duplicate }: Receipt): PublishedEvent {
  return { id, topic, duplicate }
}
