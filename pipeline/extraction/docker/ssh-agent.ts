import { spawn } from 'node:child_process';
import { Agent } from 'node:http';
import { Duplex } from 'node:stream';
import type { ReadableWritablePair } from 'node:stream/web';

/** Reaches an engine through the ssh of this machine, with the user's own keys, known hosts and settings, as Docker's own command does. */
export class SshAgent extends Agent {
  readonly #args: readonly string[];

  constructor(destination: string, port: string | undefined) {
    super({ keepAlive: true, maxFreeSockets: 1 });
    const ports = port === undefined ? [] : ['-p', port];
    this.#args = ['-T', '-o', 'ConnectTimeout=30', '-o', 'BatchMode=yes', ...ports, '--', destination];
  }

  override createConnection(): Duplex {
    const child = spawn('ssh', [...this.#args, 'docker', 'system', 'dial-stdio'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // The types know web streams only here.
    const pair = { readable: child.stdout, writable: child.stdin } as unknown as ReadableWritablePair;
    const stream = Duplex.from(pair);
    let stderrTail = '';
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (stderrTail = (stderrTail + text).slice(-2000)));
    child.on('error', error => stream.destroy(error));
    child.on('close', code => {
      if (code !== 0 && !stream.destroyed)
        stream.destroy(new Error(`ssh: ${stderrTail.trim() || `exit code ${String(code)}`}`));
    });
    stream.on('close', () => void child.kill());
    return stream;
  }
}
