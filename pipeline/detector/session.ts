import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import './no-telemetry.ts';
import * as ort from 'onnxruntime-node';
import { errorText, LxmertDataError } from '../errors.ts';
import { checkRunning, type GuardState } from './device-guard.ts';
import { ATTRIBUTE_CLASSES, FEATURE_SIZE, OBJECT_CLASSES } from './model/network.ts';
import type { NetworkInput } from './image/network-input.ts';
import type { ProposalScores } from './regions/propose-regions.ts';

export interface DetectorSessionOptions {
  /** Paths of the graphs. */
  readonly backbone: string;
  readonly head: string;
  /** By default the cores. */
  readonly threads?: number | undefined;
  /** Regions that go through the head together. */
  readonly batch?: number | undefined;
  /** If given, no group of regions is started once it is set to stop. */
  readonly guard?: GuardState | undefined;
}

/** Output of the head for n regions. */
export interface HeadOutput {
  /** (n, 2048) */
  readonly features: Float32Array;
  /** (n, 1601), background first */
  readonly objects: Float32Array;
  /** (n, 401), "none" first */
  readonly attributes: Float32Array;
  /** (n): most probable object class, background included */
  readonly predicted: Int32Array;
}

/** The features of an image. */
export type FeatureMap = ort.Tensor;

export interface BackboneOutput extends ProposalScores {
  readonly map: FeatureMap;
  readonly taps: ReadonlyMap<string, ort.Tensor>;
}

/** Regions at a time: what a processor's caches hold. */
const BATCH = 10;
const ONLY_FATAL = 4;
// Failures come as exceptions; what onnxruntime would print besides is for its developers.
ort.env.logLevel = 'fatal';

/** The two graphs on the CPU. Calls block the thread until they are done. */
export class DetectorSession {
  readonly #backbone: ort.InferenceSession;
  readonly #head: ort.InferenceSession;
  readonly #batch: number;
  readonly #guard: GuardState | undefined;

  private constructor(
    backbone: ort.InferenceSession,
    head: ort.InferenceSession,
    { batch, guard }: DetectorSessionOptions,
  ) {
    this.#backbone = backbone;
    this.#head = head;
    this.#batch = batch ?? BATCH;
    this.#guard = guard;
  }

  /** @throws LxmertDataError ERR_DEVICE if onnxruntime cannot load the graphs. */
  static async open(options: DetectorSessionOptions): Promise<DetectorSession> {
    const settings = configure(options.threads);
    try {
      const backbone = await ort.InferenceSession.create(options.backbone, settings);
      const head = await ort.InferenceSession.create(options.head, settings);
      return new DetectorSession(backbone, head, options);
    } catch (error) {
      throw new LxmertDataError('ERR_DEVICE', {
        what: 'onnxruntime cannot run the detector',
        got: describeFailure(error),
        cause: error,
      });
    }
  }

  async runBackbone({ data, height, width }: NetworkInput): Promise<BackboneOutput> {
    const outputs = await this.#backbone.run({
      data: new ort.Tensor('float32', data, [1, 3, height, width]),
    });
    const map = tensorOf(outputs, 'res4b22');
    const [, , mapHeight = 0, mapWidth = 0] = map.dims;
    return {
      map,
      probabilities: floatsOf(outputs, 'rpn_cls_prob'),
      deltas: floatsOf(outputs, 'rpn_bbox_pred'),
      mapHeight,
      mapWidth,
      taps: new Map(Object.keys(outputs).map(name => [name, tensorOf(outputs, name)])),
    };
  }

  /** @param rois (n, 5): zero, x1, y1, x2, y2 in pixels of the network's input */
  async runHead(map: FeatureMap, rois: Float32Array): Promise<HeadOutput> {
    const count = rois.length / 5;
    const output: HeadOutput = {
      features: new Float32Array(count * FEATURE_SIZE),
      objects: new Float32Array(count * OBJECT_CLASSES),
      attributes: new Float32Array(count * ATTRIBUTE_CLASSES),
      predicted: new Int32Array(count),
    };
    for (let first = 0; first < count; first += this.#batch) {
      if (this.#guard !== undefined) checkRunning(this.#guard);
      const group = rois.subarray(5 * first, 5 * Math.min(first + this.#batch, count));
      const regions = new ort.Tensor('float32', group, [group.length / 5, 5]);
      const outputs = await this.#head.run({ res4b22: map, rois: regions });
      output.features.set(floatsOf(outputs, 'pool5_flat'), first * FEATURE_SIZE);
      output.objects.set(floatsOf(outputs, 'cls_prob'), first * OBJECT_CLASSES);
      output.attributes.set(floatsOf(outputs, 'attr_prob'), first * ATTRIBUTE_CLASSES);
      const { data } = tensorOf(outputs, 'predicted_cls');
      output.predicted.set(Int32Array.from(data, Number), first);
    }
    return output;
  }

  async close(): Promise<void> {
    await this.#backbone.release();
    await this.#head.release();
  }
}

type Outputs = ort.InferenceSession.OnnxValueMapType;

function tensorOf(outputs: Outputs, name: string): ort.Tensor {
  const tensor = outputs[name];
  if (!(tensor instanceof ort.Tensor)) throw new TypeError(`the graph has no output ${name}`);
  return tensor;
}

function floatsOf(outputs: Outputs, name: string): Float32Array {
  const { data } = tensorOf(outputs, name);
  if (!(data instanceof Float32Array)) throw new TypeError(`output ${name} is not float32`);
  return data;
}

/** The first line without the path in onnxruntime's sources. */
function describeFailure(failure: unknown): string {
  const [line = ''] = errorText(failure).split('\n');
  return line.replace(/^.* was false\. /, '');
}

function configure(threads: number | undefined): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    logSeverityLevel: ONLY_FATAL,
    intraOpNumThreads: threads ?? countThreads(),
  };
}

/**
 * One thread for each core that this process may use. onnxruntime's own choice would be the same number, but it ties
 * its threads to cores, and then another program on one of them halves the speed or worse.
 */
function countThreads(): number {
  return Math.min(availableParallelism(), countCores());
}

/** Cores without hyper-threads, where the system provides it. */
function countCores(): number {
  const siblings = cpus().map((_, cpu) => {
    const file = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return existsSync(file) ? readFileSync(file, 'utf8') : `${cpu}`;
  });
  return Math.max(1, new Set(siblings).size);
}
