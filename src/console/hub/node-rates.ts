/** The traffic of each process, from two answers of the hub. */
import { useRef } from 'preact/hooks'
import type { Node } from '../../schemas/node.js'

/** Per second. */
export interface Rates {
  published: number
  sentEvents: number
  sentBytes: number
}

/**
 * Returns the rates of each process between the two latest answers, by node. A process that has answered only once, or
 * not since, has none.
 */
export function useNodeRates(nodes: Node[] | undefined): ReadonlyMap<string, Rates> {
  const state = useRef<{ nodes: Node[] | undefined; rates: Map<string, Rates> }>({ nodes: undefined, rates: new Map() })
  if (nodes !== state.current.nodes) state.current = { nodes, rates: ratesOf(state.current.nodes ?? [], nodes ?? []) }
  return state.current.rates
}

function ratesOf(before: Node[], now: Node[]): Map<string, Rates> {
  const earlier = new Map(before.map((node) => [node.node, node]))
  const rates = new Map<string, Rates>()
  for (const { node, time, published, sent } of now) {
    const old = earlier.get(node)
    if (!time || published === null || !sent || !old?.time || old.published === null || !old.sent) continue
    const seconds = (Date.parse(time) - Date.parse(old.time)) / 1_000
    if (seconds <= 0) continue // it has not answered again, or its clock was set back
    rates.set(node, {
      published: (published - old.published) / seconds,
      sentEvents: (sent.events - old.sent.events) / seconds,
      sentBytes: (sent.bytes - old.sent.bytes) / seconds,
    })
  }
  return rates
}
