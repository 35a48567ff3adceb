/**
 * The attributes of spans. Source: OpenTelemetry, "Semantic Conventions for Messaging Spans"; those that begin with
 * `fanfare.` are the hub's own.
 */
import type { Attributes } from '@opentelemetry/api'

/** Describes a publish. @param topic `undefined`: the request may have events of several topics */
export function sendTo(topic?: string): Attributes {
  return {
    'messaging.operation.name': 'publish',
    'messaging.operation.type': 'send',
    ...(topic !== undefined && { 'messaging.destination.name': topic }),
  }
}

/** Describes the result of publishing one event. */
export function describeReceipt(receipt: { id: string | null; duplicate: boolean; subscribers: number }): Attributes {
  const { id, duplicate, subscribers } = receipt
  return {
    ...(id !== null && { 'messaging.message.id': id }),
    'fanfare.duplicate': duplicate,
    'fanfare.subscribers': subscribers,
  }
}

/** Describes the result of publishing many events. */
export function countOf(events: number): Attributes {
  return { 'messaging.batch.message_count': events }
}

/** Describes the creation of a finite topic. */
export function create(topic?: string): Attributes {
  return {
    'messaging.operation.name': 'create',
    'messaging.operation.type': 'send',
    ...(topic !== undefined && { 'messaging.destination.name': topic }),
  }
}

/** Describes an append to a finite topic. */
export function appendTo(topic?: string): Attributes {
  return { ...sendTo(topic), 'messaging.operation.name': 'append' }
}

/** Describes the opening of a stream. */
export function receiveFrom(patterns: readonly string[]): Attributes {
  return {
    'messaging.operation.name': 'subscribe',
    'messaging.operation.type': 'receive',
    ...(patterns.length === 1 && { 'messaging.destination.name': patterns[0]! }),
    'fanfare.patterns': [...patterns],
  }
}
