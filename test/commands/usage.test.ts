import t from 'tap'
import { runCommand } from '../helper/command.js'

await t.test('the usage is printed on request and after an error', async (t) => {
  for (const args of [['--help'], ['token', '--help'], ['-h']]) {
    const { code, stdout, stderr } = await runCommand(t, args)
    t.match({ code, stdout, stderr }, { code: 0, stdout: /^Usage:\n {2}fanfare/, stderr: '' }, args.join(' '))
  }
  const { code, stdout, stderr } = await runCommand(t, ['nonsense'])
  t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^Unknown command: nonsense\.\n\nUsage:/ })
})
