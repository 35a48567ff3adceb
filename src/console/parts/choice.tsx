/** A choice of one of a few values, as a row of buttons. */

export interface ChoiceProps<Value> {
  name: string
  options: readonly { value: Value; name: string }[]
  value: Value
  onChoose: (value: Value) => void
}

export function Choice<Value extends string | number>({ name, options, value, onChoose }: ChoiceProps<Value>) {
  return (
    <div class="choice" role="group" aria-label={name}>
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => onChoose(option.value)}
        >
          {option.name}
        </button>
      ))}
    </div>
  )
}
