/** The ten things that the board can show. */

/** What a widget shows now: a number, a text, or a list of texts. */
export type Value = number | string | string[]

export interface Widget {
  /** Its topic is `board.<name>`, and its events have it as their type. */
  name: string
  title: string
  /** Of a number, and how many decimals it has at least. */
  unit?: string
  digits?: number
}

export const WIDGETS = [
  { name: 'temperature', title: 'Temperature', unit: '°C', digits: 1 },
  { name: 'visitors', title: 'Visitors' },
  { name: 'queue', title: 'Queue length' },
  { name: 'headline', title: 'Headline' },
  { name: 'departures', title: 'Departures' },
  { name: 'coffee', title: 'Cup of coffee', unit: '€', digits: 2 },
  { name: 'wind', title: 'Wind' },
  { name: 'battery', title: 'Battery', unit: '%' },
  { name: 'orders', title: 'Last orders' },
  { name: 'door', title: 'Front door' },
] as const satisfies Widget[]

export type WidgetName = (typeof WIDGETS)[number]['name']

/** What everybody sees, whatever is switched on. */
export const NOTICE = 'notice'

export function topicOf(name: string): string {
  return `board.${name}`
}
