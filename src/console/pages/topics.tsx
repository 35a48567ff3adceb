/** The page of the topics in the log, searched by a part of the name or by a pattern. */
import { useSignal } from '@preact/signals'
import { TopicTable } from '../parts/topic-table.js'

export function TopicsPage() {
  const search = useSignal('')
  return (
    <>
      <div class="title">
        <h1>Topics</h1>
        <label class="filter">
          <span class="hidden">Name contains, or pattern</span>
          <input
            type="search"
            value={search}
            onInput={({ currentTarget }) => (search.value = currentTarget.value.trim())}
            placeholder="Part of a name, or orders.*"
            maxLength={200}
            spellcheck={false}
            autocapitalize="none"
          />
        </label>
      </div>
      <TopicTable search={search.value} />
    </>
  )
}
