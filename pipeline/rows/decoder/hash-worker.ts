import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { HashReply, HashRequest } from './source-hash.ts';

let hash = createHash('sha256');

parentPort?.on('message', (request: HashRequest) => {
  let reply: HashReply = '';
  if (request === 'digest') {
    reply = hash.digest('hex');
    hash = createHash('sha256');
  } else hash.update(new Uint8Array(request.memory, request.begin, request.length));
  parentPort?.postMessage(reply);
});
