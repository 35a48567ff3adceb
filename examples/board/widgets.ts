/** The ten widgets of the board. */

/** The value of a widget, and the data of its events: a number, a text, or a list of texts. */
export type Value = number | string | string[]

export interface Widget {
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
  { name: 'wind', title: 'Wind', unit: 'km/h' },
  { name: 'battery', title: 'Battery', unit: '%' },
  { name: 'orders', title: 'Last orders' },
  { name: 'door', title: 'Front door' },
] as const satisfies Widget[]

export type WidgetName = (typeof WIDGETS)[number]['name']

/** The topic of a widget. Every page also shows the topic of `notice`, for any selection of widgets. */
export function topicOf(name: WidgetName | 'notice' | '*'): string {
  return `board.${name}`
}
