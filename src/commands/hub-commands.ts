/** Defines the commands that talk to a running hub. */
import { Option, type Command } from '@commander-js/extra-typings'
import type { Process } from './command.js'
import { TOKEN_VARIABLE, URL_VARIABLE } from './hub-address.js'
import { collect, count } from './option-values.js'

const url = () => new Option('--url <url>', `the hub (default: ${URL_VARIABLE}, or the hub at HOST and PORT)`)
const token = () => new Option('--token <token>', `the token (default: ${TOKEN_VARIABLE}); others can see arguments`)

export function defineHubCommands(program: Command, process: Process): void {
  defineSubscribe(program, process)
  definePublish(program, process)
  defineTopics(program, process)
  defineConnections(program, process)
}

function defineSubscribe(program: Command, process: Process): void {
  program
    .command('subscribe')
    .summary('print the events of topics as they come')
    .description(
      'Prints the events of topics and patterns on standard output as they come; gaps and states on standard error. Connects again by itself, and misses nothing. Ends with Ctrl-C.',
    )
    .argument('<patterns...>', 'topics and patterns, such as orders.42 or "orders.*" in quotes')
    .option('--from <start>', 'begin with the events since "start", a time (RFC 3339) or a cursor (default: now)')
    .addOption(new Option('--replay <n>', 'begin with the newest n events, "all", or "latest" of each topic'))
    .option('--type <type>', 'only events of this type; may be repeated', collect)
    .option('--presence', 'also print who joins and leaves')
    .addOption(
      new Option('--slow <mode>', 'after a stall of the output: every event, or the latest of each topic').choices([
        'resume',
        'latest',
      ]),
    )
    .option('--count <n>', 'end after n events', count)
    .option('--json', 'print each event as a JSON object on a line, as in a page of history')
    .option('--raw', 'print the payloads only')
    .option('--quiet', 'print no states, only gaps and errors')
    .addOption(url())
    .addOption(token())
    .action(async (patterns, options) => (await import('./subscribe.js')).subscribe(patterns, options, process))
}

function definePublish(program: Command, process: Process): void {
  program
    .command('publish')
    .summary('publish an event, or each line of standard input')
    .description(
      'Publishes an event. The data is JSON if it begins as JSON does, or is true, false, null or a number; otherwise it is a text.',
    )
    .argument('[topic]', 'the topic; with --ndjson it may be missing, and each line is an event with its "topic"')
    .argument('[data]', 'the payload; "-" is what comes on standard input, without the last line break')
    .option('--type <type>', 'the type of the event')
    .option('--id <id>', 'the id of the event: published again, it is stored once (default: a random id)')
    .option('--attribute <name=value>', 'an attribute of the event; may be repeated', collect)
    .option('--ephemeral', 'send the event to the current subscribers only, and do not store it')
    .option('--text', 'the data is a text, whatever it looks like')
    .option('--bytes', 'the data is bytes, sent as base64')
    .option('--ndjson', 'publish each line of standard input when it comes: JSON, or a text with --text')
    .option('--json', 'print the receipt as JSON')
    .addOption(url())
    .addOption(token())
    .action(async (topic, data, options) => (await import('./publish.js')).publish(topic, data, options, process))
}

function defineTopics(program: Command, process: Process): void {
  program
    .command('topics')
    .summary('list topics')
    .description(
      'Lists the topics that the log holds: all of them for an admin, otherwise those that the token grants.',
    )
    .argument('[selection]', 'a prefix of their names, or a pattern in quotes')
    .option('--limit <n>', 'at most n topics (default: all)', count)
    .option('--json', 'print each topic as a JSON object on a line')
    .addOption(url())
    .addOption(token())
    .action(async (selection, options) => (await import('./topics.js')).topics(selection, options, process))
}

function defineConnections(program: Command, process: Process): void {
  const connections = program
    .command('connections')
    .summary('list or end open streams')
    .description('Lists the open streams. Needs the token of an admin.')
    .enablePositionalOptions()
    .option('--topic <topic>', 'only streams that receive the events of this topic, or have this pattern')
    .option('--subject <subject>', 'only streams of this subject')
    .option('--limit <n>', 'at most n streams (default: all)', count)
    .option('--json', 'print each stream as a JSON object on a line')
    .addOption(url())
    .addOption(token())
    .action(async (options) => (await import('./connections.js')).connections(options, process))
  connections
    .command('end')
    .summary('end a stream, or all streams of a subject')
    .description(
      'Ends a stream, or all streams of a subject. Their subscribers connect again, unless their tokens are revoked.',
    )
    .argument('[id]', 'the id of the connection')
    .option('--subject <subject>', 'end all streams of this subject; needs the token of an admin')
    .option('--json', 'print the number of ended streams as JSON')
    .addOption(url())
    .addOption(token())
    .action(async (id, options) => (await import('./connections.js')).endConnections(id, options, process))
}
