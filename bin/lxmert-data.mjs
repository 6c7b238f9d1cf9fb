#!/usr/bin/env node
// The installed command: goes on with the Node.js that this package pins, whatever Node.js started it.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CANNOT_RUN, explainNode, explainPlatform, findPinnedNode, pinnedVersion } from './pinned-node.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const version = pinnedVersion(root);
const isPinned = process.version === `v${version}`;
const node = findPinnedNode(join(root, 'package.json')) ?? (isPinned ? process.execPath : undefined);
const refusal = node === undefined ? (explainPlatform() ?? explainNode(node, version)) : undefined;
if (refusal === undefined) run();
else stop(refusal);

function run() {
  const args = [join(root, 'dist', 'cli', 'main.js'), ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', explain);
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
    // The loader has printed its own line by then; this adds what to do.
    if (code === CANNOT_RUN) explain();
  });
}

function explain() {
  stop(explainPlatform() ?? explainNode(node, version) ?? 'error: the pinned Node.js ended unexpectedly');
}

function stop(reason) {
  console.error(reason);
  process.exitCode = 1;
}
