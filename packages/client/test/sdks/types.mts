/** The plug points have the types that the SDKs ask for. Compiled, and never run. */
import type { StreamDurability } from '@tanstack/ai'
import type { ChatTransport, UIMessage } from 'ai'
import type { ResumableStreamStore } from 'assistant-stream/resumable'
import { connect } from 'fanfare-client'
import { createChatTransport } from 'fanfare-client/ai-sdk'
import { createResumableStreamStore } from 'fanfare-client/assistant-ui'
import { fanfareStream } from 'fanfare-client/tanstack-ai'

const access = { url: 'http://127.0.0.1' }
const transport = createChatTransport(connect(access.url))
export const transports: ChatTransport<UIMessage>[] = [transport, createChatTransport(connect(access.url))]
export const store: ResumableStreamStore = createResumableStreamStore(access)
export const durability: StreamDurability = fanfareStream(new Request(access.url), access)
