import type { Command } from '../cli/command.ts';
import { usage } from '../cli/help.ts';

const INTRODUCTION = `# The command line

<!-- Written by packages/control/write-docs.mjs from the table of commands; a test holds both together. -->

\`lbctl\` sends commands to a running lbd over its control socket.

    lbctl show lb vips verbose           # one command; words may be shortened: lbctl sh lb v
    lbctl --file setup.txt               # one command a line, # begins a comment; stops at the first that is refused
    lbctl < setup.txt                    # the same
    lbctl                                # at a terminal: type commands; Tab completes, Ctrl-D ends
    lbctl --json show lb                 # answers for programs: one line of JSON each

\`--socket <path>\` (or the environment variable \`LBD_SOCKET\`) names another socket than \`/run/lbd/lbd.sock\`. A command that
is refused says what was wrong and what is allowed, changes nothing, and makes \`lbctl\` exit with 1. With \`--json\` it
answers \`{"error": {"code": "LBD_...", "message": "..."}}\`; codes are stable.

Commands of VPP's \`lb\` plugin are written as in its documentation; options may come in any order.

## Commands
`;

/** docs/command-line.md. */
export function commandLineDocs(commands: readonly Command[]): string {
  const sections = commands.map((command) => {
    const text = command.details ? `${sentence(command.help)} ${command.details}` : sentence(command.help);
    return `### ${command.words.replace('|', ', ')}\n\n    ${usage(command)}\n\n${text}\n`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

function sentence(help: string): string {
  return `${help[0]!.toUpperCase()}${help.slice(1)}.`;
}
