import { type ControlClient, isCoded } from '@lbd/control';

/** Where answers and errors go. */
export interface Output {
  out(text: string): void;
  error(text: string): void;
}

/** How they look: text for people, or one line of JSON each for programs. */
export class Printer {
  readonly #output: Output;
  readonly #json: boolean;

  constructor(output: Output, json: boolean) {
    this.#output = output;
    this.#json = json;
  }

  /** Runs a command line and prints the answer. @throws what the client throws */
  async run(client: ControlClient, command: string): Promise<void> {
    if (this.#json) return this.#output.out(`${await client.json(command)}\n`);
    const text = await client.text(command);
    if (text !== '') this.#output.out(`${text}\n`);
  }

  /** @param where e.g. `setup.txt:3`, in front of the message */
  error(error: unknown, where = 'lbctl'): void {
    const { message } = error as Error;
    const code = isCoded(error) ? error.code : 'LBD_INTERNAL';
    if (this.#json) this.#output.out(`${JSON.stringify({ error: { code, message } })}\n`);
    else this.#output.error(`${where}: ${message}\n`);
  }
}
