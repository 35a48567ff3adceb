/** Defines the commands that measure and examine a hub. */
import { Option, type Command } from '@commander-js/extra-typings'
import { KINDS } from './bench/target.js'
import type { Process } from './command.js'
import { TOKEN_VARIABLE } from './hub-address.js'
import { collect, count, duration, rate, size } from './option-values.js'

const SECONDS = 1_000

export function defineProbes(program: Command, process: Process): void {
  program
    .command('bench')
    .summary('measure the latency under load')
    .description(
      'Opens subscribers, publishes at a steady rate, and prints latency, deliveries per second, and lost, reordered and repeated events. Works with Fanfare, Mercure, Centrifugo (unidirectional SSE) and any server of SSE. Ctrl-C ends it early.',
    )
    .argument('<url>', 'the server')
    .option('--subscribers <n>', 'the number of streams', count, 100)
    .option('--topics <n>', 'the number of topics, which subscribers and events use in turn', count, 1)
    .option('--rate <n>', 'events per second, over all topics', rate, 10)
    .addOption(time('--duration <duration>', 'how long to publish', 10 * SECONDS))
    .addOption(time('--warmup <duration>', 'how long to publish before the measurement', SECONDS))
    .addOption(new Option('--payload <size>', 'the size of a payload, in bytes').argParser(size).default(100))
    .addOption(new Option('--kind <kind>', 'the kind of server').choices(KINDS).default('fanfare' as const))
    .option('--token <token>', `the token for both (default, for Fanfare: ${TOKEN_VARIABLE})`)
    .option('--api-key <key>', 'the key of the API of Centrifugo')
    .option('--subscribe-url <template>', 'the URL of a stream, with {topic}')
    .option('--subscribe-header <header>', 'a further header of a stream; may be repeated', collect)
    .option('--publish-url <template>', 'the URL to post events to, with {topic}')
    .option('--publish-header <header>', 'a further header of an event; may be repeated', collect)
    .option('--publish-body <template>', 'the body of an event, with {topic} and {payload}, which is JSON')
    .option('--publish-command <command>', 'a shell command that publishes each line of its standard input')
    .option('--remote', 'allow a load on another machine')
    .option('--json', 'print the report as JSON')
    .action(async (url, options) => (await import('./bench.js')).bench(url, options, process))

  program
    .command('doctor')
    .summary('examine a hub and the way to it')
    .description(
      'Examines a hub and the way to it: name, connection, TLS, HTTP version, clock, CORS, token, and whether a proxy keeps a stream back. Prints a sentence for each, and what to do. Publishes an ephemeral event if the token allows it.',
    )
    .argument('<url>', 'the hub')
    .option('--origin <origin>', 'the origin of the pages that use the hub, such as https://app.example.com')
    .option('--topic <topic>', 'the topic of the stream; an ephemeral event is published to it if the token allows it')
    .addOption(time('--wait <duration>', 'how long to wait for a heartbeat; 0s: not at all', 20 * SECONDS))
    .option('--json', 'print each finding as a JSON object on a line')
    .option('--token <token>', `the token (default: ${TOKEN_VARIABLE}); others can see arguments`)
    .action(async (url, options) => (await import('./doctor.js')).doctor(url, options, process))
}

/** An option that is a duration. */
function time<const Flags extends string>(flags: Flags, description: string, fallback: number) {
  return new Option(flags, description).argParser(duration).default(fallback, `${fallback / SECONDS}s`)
}
