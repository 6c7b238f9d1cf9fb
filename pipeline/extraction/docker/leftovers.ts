import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isRunning } from '../../files/processes.ts';
import type { Engine } from './engine.ts';

const LABEL = 'lxmert-data';

/** Labels that identify the owner of a container, so that those of a killed run can be found. */
export function ownerLabels(run: string): Record<string, string> {
  return {
    [`${LABEL}.run`]: run,
    [`${LABEL}.host`]: hostname(),
    [`${LABEL}.pid`]: String(process.pid),
    [`${LABEL}.started`]: readStart(process.pid),
  };
}

/** Removes containers whose process on this machine is gone; returns their names. */
export async function removeLeftovers(engine: Engine): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const { id, name, labels } of await engine.listContainers(`${LABEL}.run`)) {
    if (labels[`${LABEL}.host`] !== hostname()) continue;
    const pid = Number(labels[`${LABEL}.pid`]);
    // The number may be that of another process by now.
    if (isRunning(pid) && readStart(pid) === labels[`${LABEL}.started`]) continue;
    await engine.removeContainer(id);
    removed.push(name.replace(/^\//, ''));
  }
  return removed;
}

/** When a process started, in ticks since the machine did; empty if the system does not provide it. */
function readStart(pid: number): string {
  try {
    // The name of the program, in brackets, may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, '').trim().split(' ');
    return fields[19] ?? '';
  } catch {
    return '';
  }
}
