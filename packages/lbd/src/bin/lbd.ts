#!/usr/bin/env node
import { Command } from 'commander';
import { check } from '../commands/check.ts';
import { replay } from '../commands/replay.ts';
import { run } from '../commands/run.ts';
import { version } from '../version.ts';

const DEFAULT_CONFIG = '/etc/lbd/lbd.yaml';

const program = new Command('lbd')
  .description('A layer-4 load balancer.')
  .version(version)
  .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG)
  .option('--check-config', 'check the configuration and end')
  .action(async (options: { config: string; checkConfig?: boolean }) => {
    process.exitCode = options.checkConfig ? await check(options.config) : await run(options.config);
  });

program
  .command('replay')
  .description('run captures through (interfaces with driver pcap), then print what the commands given show')
  .argument('[command...]', 'commands to run at the end, each in quotes')
  .option('-c, --config <file>', 'configuration file', DEFAULT_CONFIG)
  .action(async (commands: string[], _options: object, command: Command) => {
    const { config } = command.optsWithGlobals<{ config: string }>();
    process.exitCode = await replay(config, commands);
  });

await program.parseAsync();
