import { Agent as HttpAgent } from 'node:http';
import type { AgentOptions, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { DirectBody } from './direct-body.ts';
import { considerResponse, FastHttpAgent, FastHttpsAgent } from './fast-agents.ts';
import type { HttpBody } from './http-body.ts';

/*
 * Large bodies are read from their sockets straight into memory that is then written to disk, past the HTTP parser and
 * its streams. Measured for 1.5 GB: 2.6 to 3.3 seconds of processor time in several threads instead of 4.9 in one, spent
 * on copies by the parser, on streams and on their garbage (docs/performance.md, Downloads). Whatever does not fit, such
 * as chunked bodies, small ones and those through a proxy, takes the usual way; `{ isFast: false }` makes all of them.
 */

export interface HttpAgents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

export function createAgents(options: AgentOptions, isFast: boolean): HttpAgents {
  return isFast
    ? { http: new FastHttpAgent(options), https: new FastHttpsAgent(options) }
    : { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

/** The body of one response, if its connection lets us have it directly. */
export class FastBody {
  readonly #destroy: (error?: Error) => void;
  #isOpen = true;
  #body: DirectBody | undefined;

  /** `destroy` ends the request and its connection. */
  constructor(destroy: (error?: Error) => void) {
    this.#destroy = destroy;
  }

  /** To be called when the headers of the response are there and none of its body is read. */
  consider(response: IncomingMessage): void {
    considerResponse(response, connection => {
      if (this.#isOpen) this.#body = new DirectBody({ ...connection, destroy: this.#destroy });
      return this.#body;
    });
  }

  /** The body, or undefined where it comes through the parser as usual; it cannot be taken over later. */
  take(): HttpBody | undefined {
    this.#isOpen = false;
    return this.#body;
  }

  /** The request has ended, with an error or by its connection closing. */
  end(error?: Error): void {
    this.#body?.fail(error);
  }
}
