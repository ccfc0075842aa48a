#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ControlClient, DEFAULT_SOCKET } from '@lbd/control';
import { Command } from 'commander';
import { interactive } from '../lbctl/interactive.ts';
import { Printer } from '../lbctl/printer.ts';
import { runScript } from '../lbctl/script.ts';
import { version } from '../version.ts';

interface Options {
  readonly socket: string;
  readonly json?: boolean;
  readonly file?: string;
}

const program = new Command('lbctl')
  .description('Run commands in a running lbd: one given as arguments, those of a file, or what is typed.')
  .version(version)
  .argument('[command...]', 'a command, e.g. show lb vips; "help" lists all')
  .option('-s, --socket <path>', 'control socket of lbd', process.env.LBD_SOCKET ?? DEFAULT_SOCKET)
  .option('-f, --file <path>', 'run the commands of a file, one a line ("-" is standard input)')
  .option('-j, --json', 'print answers as JSON, one a line')
  .passThroughOptions()
  .action(async (words: string[], options: Options) => {
    process.exitCode = await main(words, options);
  });

async function main(words: readonly string[], { socket, json = false, file }: Options): Promise<number> {
  const client = new ControlClient(socket);
  const output = {
    out: (text: string) => process.stdout.write(text),
    error: (text: string) => process.stderr.write(text),
  };
  const printer = new Printer(output, json);
  try {
    if (file !== undefined && words.length > 0) throw new Error('a command and --file exclude each other');
    if (file !== undefined && file !== '-')
      return await runScript(client, printer, file, readFileSync(file, 'utf8').split('\n'));
    if (words.length > 0) {
      await printer.run(client, words.join(' '));
      return 0;
    }
    if (file === undefined && process.stdin.isTTY) return await interactive(client, printer);
    return await runScript(client, printer, 'stdin', createInterface({ input: process.stdin }));
  } catch (error) {
    printer.error(error);
    return 1;
  }
}

await program.parseAsync();
