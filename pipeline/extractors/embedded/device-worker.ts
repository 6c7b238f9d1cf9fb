import type { BackboneOutput, DetectorSessionOptions, HeadOutput } from './detector-session.ts';
import { DetectorSession } from './detector-session.ts';
import type { NetworkInput } from './network-input.ts';
import type { ProposalScores } from './propose-regions.ts';
import { answerCalls } from './worker-calls.ts';

/**
 * The thread that owns the device. onnxruntime's calls block their thread, so everything else runs on others.
 * Feature maps stay here between the two graphs, under the key that the caller gives.
 */
let session: DetectorSession | undefined;
const maps = new Map<number, BackboneOutput['map']>();

const handlers = {
  open: async (options: DetectorSessionOptions): Promise<string> => {
    session = await DetectorSession.open(options);
    return session.device;
  },
  runBackbone: async ({ key, ...input }: NetworkInput & { key: number }): Promise<ProposalScores> => {
    const { map, probabilities, deltas, mapHeight, mapWidth } = await session!.runBackbone(input);
    maps.set(key, map);
    return { probabilities, deltas, mapHeight, mapWidth };
  },
  runHead: async ({ key, rois }: { key: number; rois: Float32Array }): Promise<HeadOutput> => {
    const map = maps.get(key)!;
    maps.delete(key);
    return session!.runHead(map, rois);
  },
  drop: (key: number): Promise<void> => {
    maps.delete(key);
    return Promise.resolve();
  },
};

export type DeviceHandlers = typeof handlers;

answerCalls(handlers);
