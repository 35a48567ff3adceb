/** The command line: help, version, mistakes, and the completion of shells. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { version } from '../../src/model/version.js'
import { runCommand } from '../helper/command.js'

const COMMANDS = [
  ['start'],
  ['health'],
  ['inspect'],
  ['backup'],
  ['restore'],
  ['token'],
  ['subscribe'],
  ['publish'],
  ['topics'],
  ['connections'],
  ['connections', 'end'],
  ['bench'],
  ['doctor'],
  ['completion'],
]

await t.test('every command prints its help and the version', async (t) => {
  for (const command of [[], ...COMMANDS]) {
    for (const flag of ['--help', '-h']) {
      const { code, stdout, stderr } = await runCommand(t, [...command, flag])
      t.match(
        { code, stdout, stderr },
        { code: 0, stdout: new RegExp(`^Usage: ${['fanfare', ...command].join(' ')} `), stderr: '' },
        [...command, flag].join(' '),
      )
    }
    const { code, stdout, stderr } = await runCommand(t, [...command, '--version'])
    t.strictSame({ code, stdout, stderr }, { code: 0, stdout: `${version}\n`, stderr: '' }, command.join(' '))
  }
})

await t.test('the help lists every command and the exit codes, without colours', async (t) => {
  const { stdout } = await runCommand(t, ['--help'], { env: { FORCE_COLOR: '1' } })
  for (const [name] of COMMANDS) t.match(stdout, new RegExp(`^  ${name!} `, 'm'))
  t.match(stdout, /^Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 /m)
  t.notMatch(stdout, /\bworker\b/, 'internal commands are not listed')
  t.notOk(stdout.includes('\u001b'), 'a pipe gets no escape sequences')
})

await t.test('a mistake is answered with one line that names the nearest command or option', async (t) => {
  const cases: [args: string[], line: RegExp][] = [
    [['nonsense'], /^Unknown command 'nonsense'\. See fanfare --help\.$/],
    [['toString'], /^Unknown command 'toString'\./],
    [['publsh', 'a', 'b'], /^Unknown command 'publsh'; did you mean publish\? See fanfare --help\.$/],
    [['subscribe', 'a', '--jsn'], /^Unknown option '--jsn'; did you mean --json\? See fanfare subscribe --help\.$/],
    [['--hlep'], /^Unknown option '--hlep'; did you mean --help\?/],
    [['connections', 'ennd', 'x'], /Did you mean connections end\? See fanfare connections --help\.$/],
    [['subscribe'], /^Missing required argument 'patterns'\. See fanfare subscribe --help\.$/],
    [['topics', '--limit'], /^Option '--limit <n>' argument missing\./],
    [['topics', '--limit', '0'], /^Option '--limit <n>' argument '0' is invalid\. It is a whole number from 1\./],
    [['subscribe', 'a', '--slow', 'x'], /Allowed choices are resume, latest\./],
    [['subscribe', 'a b'], /^"a b" is neither a topic nor a pattern: .* See fanfare subscribe --help\.$/],
    [['subscribe', 'a', '--from', 'yesterday'], /^--from is "start", a time such as .*"yesterday"\./],
    [['subscribe', 'a', '--from', 'start', '--replay', '1'], /^Use either --from or --replay, not both\./],
    [['subscribe', 'a', '--url', 'hub.example.com'], /^"hub\.example\.com" is not the URL of a hub: /],
    [['subscribe', 'a', '--url', 'https://u:p@hub.example.com'], /^The URL has a user name or a password/],
    [['subscribe', 'a', '--token', 'a b'], /^The token .* has characters that no token has\./],
    [['publish', 'a'], /^publish needs data: an argument, or "-"/],
    [['publish', 'a.*', 'x'], /^"a\.\*" is not a topic: /],
    [['publish', 'fanfare.stats', 'x'], /^"fanfare\.stats" is one of the hub's own topics\./],
    [['publish', 'a', 'x', '--text', '--bytes'], /^Use either --text or --bytes, not both\./],
    [['publish', 'a', 'x', '--ndjson'], /^With --ndjson, publish reads standard input: /],
    [['publish', 'a', '--ndjson', '--id', 'x'], /^--id names one event: /],
    [['publish', 'a', 'x', '--attribute', 'y'], /^--attribute is <name>=<value>, and not "y"\./],
    [['connections', 'end'], /^connections end takes either the id of a connection or --subject\./],
    [['connections', 'end', 'x', '--subject', 'y'], /^connections end takes either/],
    [['doctor', 'http://127.0.0.1:1', '--origin', 'app.example.com'], /^--origin is a scheme, a host and a port/],
    [['doctor', 'http://127.0.0.1:1', '--origin', 'https://app.example.com/'], /^--origin is /],
    [['bench', 'http://127.0.0.1:1', '--kind', 'sse'], /^--kind sse needs --publish-url or --publish-command\./],
    [['bench', 'http://127.0.0.1:1', '--kind', 'nchan'], /Allowed choices are fanfare, mercure, centrifugo, sse\./],
    [['start', 'now'], /^Too many arguments for 'start'\./],
    [['health', 'now'], /^Too many arguments for 'health'\./],
    [['worker'], /^worker is an internal command: /],
  ]
  for (const [args, line] of cases) {
    const { code, signal, stdout, stderr } = await runCommand(t, args)
    t.strictSame({ code, signal, stdout }, { code: 1, signal: null, stdout: '' }, args.join(' '))
    t.match(stderr.trimEnd(), line)
    t.equal(stderr.trimEnd().split('\n').length, 1, stderr)
  }
})

await t.test('a hub ignores the variables of the commands', async (t) => {
  const env = { FANFARE_URL: 'http://127.0.0.1:1', FANFARE_TOKEN: 'x' }
  t.match(await runCommand(t, ['token', '--sub', 'u1'], { env }), { code: 0, stderr: '' })
})

await t.test('bash completes commands, options and values with the printed script', async (t) => {
  const { code, stdout: script } = await runCommand(t, ['completion', 'bash'])
  t.equal(code, 0)
  const folder = t.testdir({ completion: script })
  const main = new URL('../../dist/main.js', import.meta.url).pathname
  const complete = (line: string): string[] => {
    const words = line.split(' ')
    const code = `
      fanfare() { '${process.execPath}' '${main}' "$@"; }
      compopt() { :; }
      _get_comp_words_by_ref() { # of the package bash-completion
        words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
      }
      source '${folder}/completion'
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
      COMP_LINE='${line}' COMP_POINT=${line.length}
      handler=$(complete -p fanfare | sed -E 's/.*-F ([^ ]+).*/\\1/')
      $handler fanfare '${words.at(-1)!}' '${words.at(-2)!}'
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', code], {
      env: { PATH: process.env['PATH'] },
      encoding: 'utf8',
    })
    t.equal(stderr, '', line)
    return stdout
      .trim()
      .split('\n')
      .map((word) => word.trim())
  }
  t.strictSame(complete('fanfare sub'), ['subscribe'])
  t.ok(['start', 'publish', 'doctor', 'completion'].every((name) => complete('fanfare ').includes(name)))
  t.strictSame(complete('fanfare publish --eph'), ['--ephemeral'])
  t.strictSame(complete('fanfare connections en'), ['end'])
  t.strictSame(complete('fanfare subscribe a --slow ').sort(), ['latest', 'resume'])
})

await t.test('completion scripts exist for zsh and fish', async (t) => {
  t.match(await runCommand(t, ['completion', 'zsh']), { code: 0, stdout: /^#compdef fanfare/ })
  t.match(await runCommand(t, ['completion', 'fish']), { code: 0, stdout: /complete -c fanfare/ })
})
