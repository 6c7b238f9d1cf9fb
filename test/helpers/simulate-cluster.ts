import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  openPlanFolder,
  partialFolder,
  unitFile,
  unitName,
} from '../../pipeline/extraction/cluster/layout.ts';
import { listDoneUnits, removeClaim, Schedule } from '../../pipeline/extraction/cluster/schedule.ts';
import { seededRandom } from '../../pipeline/rows/synthetic-row.ts';

export interface Simulation {
  readonly folder: string;
  readonly workers: number;
  readonly units: number;
  readonly seed: number;
}

export interface SimulationResult {
  readonly done: number;
  /** Units that more than one worker finished. */
  readonly twice: number;
  readonly deaths: number;
  /**
   * Processor time of all coordination: choosing units, the files of attempts and their signs of life, and the simulation
   * itself; and of choosing alone. Without the time of measuring.
   */
  readonly seconds: number;
  readonly choosing_seconds: number;
  readonly hours: number;
}

const UNIT_MS = 50_000;
const TOUCH_MS = 5000;
/** Shares of the units during which a worker dies, hangs, or is slow. */
const [DIES, SPLITS, SLOW] = [0.004, 0.002, 0.05];

interface Event {
  readonly time: number;
  readonly run: () => Promise<void> | void;
}

/**
 * Runs workers on the files of a plan under a clock that jumps from event to event. What decides who does what is the
 * program's own; only the computing is left out, and an attempt's file is empty.
 */
export async function simulateCluster(options: Simulation): Promise<SimulationResult> {
  const { folder, workers, units, seed } = options;
  await openPlanFolder(folder);
  const random = seededRandom(seed);
  const events = new EventQueue();
  const finished = new Map<number, number>();
  let now = 1e12;
  let attempts = 0;
  let deaths = 0;
  const whole = new ProcessorTime();
  const choosing = new ProcessorTime();
  whole.start();
  const at = (delay: number, run: Event['run']): void => events.add({ time: now + delay, run });

  const startWorker = (index: number): void => {
    const schedule = new Schedule({ folder, units, index, count: workers, now: () => now, random });
    const takeNext = async (): Promise<void> => {
      choosing.start();
      const unit = await schedule.next();
      choosing.stop();
      if (unit !== undefined) begin(unit);
    };
    const begin = (unit: number): void => {
      const path = join(partialFolder(folder), `${unitName(unit)}.host-${index}-${attempts++}.tsv`);
      writeFileSync(path, '');
      const duration = UNIT_MS * (0.8 + random() * 0.4) * (random() < SLOW ? 10 : 1);
      const fate = random();
      const isLost = fate < DIES;
      // One whose node is taken for lost goes on without a sign of life, and its index starts elsewhere.
      const isSplit = !isLost && fate < DIES + SPLITS;
      const life = isLost ? duration * random() : duration;
      if (!isSplit) touch(path, isLost ? now + life : now + duration);
      if (isLost || isSplit) {
        deaths++;
        if (random() < 0.9) at(life * random() + 120_000 * random(), () => startWorker(index));
      }
      if (!isLost) {
        at(duration, async () => {
          renameSync(path, unitFile(folder, unit));
          removeClaim(folder, unit);
          finished.set(unit, (finished.get(unit) ?? 0) + 1);
          await takeNext();
        });
      }
    };
    at(random() * 1000, takeNext);
  };
  /** The last sign of life of an attempt, as its file has it when others look. */
  const touch = (path: string, until: number): void => {
    const beat = (): void => {
      try {
        utimesSync(path, now / 1000, now / 1000);
      } catch {
        return;
      }
      if (now + TOUCH_MS * 6 < until) at(TOUCH_MS * 6, () => beat());
    };
    beat();
  };

  for (let index = 1; index <= workers; index++) startWorker(index);
  const began = now;
  for (let event = events.take(); event !== undefined; event = events.take()) {
    now = event.time;
    await event.run();
  }
  const hours = (now - began) / 3.6e6;
  // Whoever is left over, as an engine's next try would be.
  for (let round = 0; round < 3 && listDoneUnits(folder).size < units; round++) {
    rmSync(join(folder, 'free-units.json'), { force: true });
    now += 600_000;
    startWorker(1);
    for (let event = events.take(); event !== undefined; event = events.take()) {
      now = event.time;
      await event.run();
    }
  }
  whole.stop();
  const twice = [...finished.values()].filter(times => times > 1).length;
  const done = listDoneUnits(folder).size;
  return {
    done,
    twice,
    deaths,
    seconds: Number((whole.seconds - choosing.measuring).toFixed(2)),
    choosing_seconds: Number((choosing.seconds - choosing.measuring).toFixed(2)),
    hours: Number(hours.toFixed(2)),
  };
}

/** Adds up processor time of this process, all its threads included; reading that clock takes longer than many a choice. */
class ProcessorTime {
  #micros = 0;
  #times = 0;
  #before = process.cpuUsage();

  start(): void {
    this.#before = process.cpuUsage();
  }

  stop(): void {
    const { user, system } = process.cpuUsage(this.#before);
    this.#micros += user + system;
    this.#times++;
  }

  get seconds(): number {
    return this.#micros / 1e6;
  }

  /** What reading the clock took, from as many readings with nothing in between. */
  get measuring(): number {
    const empty = new ProcessorTime();
    for (let time = 0; time < this.#times; time++) {
      empty.start();
      empty.stop();
    }
    return empty.seconds;
  }
}

/** Events in the order of their time: a binary heap. */
class EventQueue {
  readonly #heap: Event[] = [];

  add(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.time <= event.time) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  take(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.time < heap[child]!.time) child++;
      if (heap[child]!.time >= last.time) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
