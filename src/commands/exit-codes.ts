/** The exit codes of every command. They do not change between releases. */
export const EXIT = {
  ok: 0,
  failed: 1,
  refused: 2,
  unreachable: 3,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What each exit code means, for the help and the docs. */
export const EXIT_MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: 'The command did what it was asked for. A `subscribe` that Ctrl-C ends also exits with 0.',
  failed:
    'The command failed, or its command line has a mistake. `doctor` found a problem, `bench` lost events, or a hub would refuse the token of `token --explain`.',
  refused: 'The hub refuses the request, and would refuse it again: the token, its grants or the request are at fault.',
  unreachable: 'No hub can be reached at the URL.',
}
