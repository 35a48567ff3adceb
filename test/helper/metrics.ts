/** Reads the text of metrics. */

/** One line of metrics. */
export interface MetricLine {
  name: string
  labels: Record<string, string>
  value: number
}

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

/**
 * Returns the lines of the text.
 * @throws Error for a line that is neither a comment nor a value
 */
export function metricsOf(text: string): MetricLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = LINE.exec(line) ?? []
      if (name === undefined) throw new Error(`not a line of metrics: ${line}`)
      return {
        name,
        labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, text]) => [key!, text!])),
        value: Number(value),
      }
    })
}

/** Returns the value of the first line with a name and labels. */
export function valueOf(
  lines: readonly MetricLine[],
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  return lines.find(
    (line) => line.name === name && Object.entries(labels).every(([key, value]) => line.labels[key] === value),
  )?.value
}
