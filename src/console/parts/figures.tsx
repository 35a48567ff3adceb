/** A list of named values. */
import type { ComponentChildren } from 'preact'

export type Figure = [name: string, value: ComponentChildren]

export function Figures({ figures }: { figures: Figure[] }) {
  return (
    <dl class="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
