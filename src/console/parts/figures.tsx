/** A list of named values. */
import type { ComponentChildren } from 'preact'

export function Figures({ figures }: { figures: [name: string, value: ComponentChildren][] }) {
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
