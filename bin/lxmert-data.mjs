#!/usr/bin/env node
// The installed command: goes on with the Node.js that this package pins, whatever Node.js started it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CANNOT_RUN, explainNode, explainPlatform, findPinnedNode, pinnedVersion } from './pinned-node.mjs';

const NOT_BUILT = `error: lxmert-data was packed without being built
  what to do: install the published package, or make the tarball in a clone with "npm run release"; npm pack alone builds with
  --ignore-scripts=false only`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const version = pinnedVersion(root);
const isPinned = process.version === `v${version}`;
const node = findPinnedNode(join(root, 'package.json')) ?? (isPinned ? process.execPath : undefined);
// A linked clone runs its sources, which Node does not take from node_modules.
const program = [join(root, 'dist', 'cli', 'main.js'), join(root, 'pipeline', 'cli', 'main.ts')].find(
  existsSync,
);
const refusal = program === undefined ? NOT_BUILT : node === undefined ? explainMissingNode() : undefined;
if (refusal === undefined) run();
else stop(refusal);

function run() {
  const args = [program, ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', explain);
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
    // The loader has printed its own line by then; this adds what to do.
    if (code === CANNOT_RUN) explain();
  });
}

function explainMissingNode() {
  return explainPlatform() ?? explainNode(node, version);
}

function explain() {
  stop(explainMissingNode() ?? 'error: the pinned Node.js ended unexpectedly');
}

function stop(reason) {
  console.error(reason);
  process.exitCode = 1;
}
