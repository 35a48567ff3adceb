/** The ten widgets of the board. */

/** The value of a widget: a number, a text, or a list of texts. */
export type Value = number | string | string[]

export interface Widget {
  /** The name. The topic is `board.<name>`, and the events have the name as their type. */
  name: string
  title: string
  /** The unit of a number, and the minimum number of its decimals. */
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

/** The topic that every page shows, for any selection of widgets. */
export const NOTICE = 'notice'

export function topicOf(name: string): string {
  return `board.${name}`
}
