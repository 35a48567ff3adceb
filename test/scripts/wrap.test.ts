import * as fc from 'fast-check'
import t from 'tap'
import { wrapProse } from '../../scripts/wrap.js'

const words = (count: number, word = 'word') => Array.from({ length: count }, () => word).join(' ')
/** A text without its line breaks and the indentation of its lines. */
const flat = (text: string) => text.replaceAll(/\s+/g, ' ')

await t.test('long paragraphs and list items are wrapped, with the indentation of their list', (t) => {
  t.equal(wrapProse(words(30)), `${words(24)}\n${words(6)}`)
  t.equal(wrapProse(`- ${words(30)}`), `- ${words(23)}\n  ${words(7)}`)
  t.equal(wrapProse(`  12. ${words(30)}\n\n      ${words(30)}`).split('\n').length, 5)
  t.equal(wrapProse(`> ${words(30)}`), `> ${words(23)}\n> ${words(7)}`)
  t.equal(wrapProse(`${words(20)}\n${words(30)}`), [words(24), words(24), words(2)].join('\n'))
  t.end()
})

await t.test('code, tables, headings, HTML, definitions and short lines stay as they are', (t) => {
  const long = words(40)
  for (const text of [
    `\`\`\`sh\n${long}\n\n${long}\n\`\`\``,
    `- item\n\n  ~~~\n  ${long}\n  ~~~`,
    `| ${long} |\n| --- |\n| ${long} |`,
    `# ${long}`,
    `<div>\n${long}\n</div>`,
    `---\ntitle: ${long}\n---`,
    `[link]: https://example.com/${'x'.repeat(200)}`,
    'one\ntwo\n- three\n  four',
    `${long}  \na line after a hard break`,
  ])
    t.equal(wrapProse(text), text)
  t.end()
})

await t.test('a code span stays whole, and no line begins with the mark of another block', (t) => {
  const span = `\`${words(5)}\``
  t.ok(wrapProse(`${words(23)} ${span}`).includes(span))
  for (const mark of ['-', '+', '*', '1.', '#', '>', '|', '=='])
    t.notMatch(wrapProse(`${words(24)} ${mark} ${words(24)}`), new RegExp(`^\\${mark}`, 'm'))
  t.end()
})

await t.test('wrapping changes nothing but line breaks, and a second time nothing at all', (t) => {
  const word = fc.stringMatching(/^[a-z*`_.,()[\]-]{1,30}$/)
  const line = fc
    .tuple(fc.constantFrom('', '- ', '1. ', '  '), fc.array(word, { minLength: 1, maxLength: 40 }))
    .map(([prefix, parts]) => prefix + parts.join(' '))
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const text = lines.join('\n')
      const wrapped = wrapProse(text)
      t.equal(flat(wrapped), flat(text))
      t.equal(wrapProse(wrapped), wrapped)
    }),
  )
  t.end()
})
