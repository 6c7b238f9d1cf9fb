import { checkRunning, type GuardState, runGuarded } from '../../detector/device-guard.ts';
import type { DetectorSessionOptions, FeatureMap, HeadOutput } from '../../detector/session.ts';
import { DetectorSession } from '../../detector/session.ts';
import type { NetworkInput } from '../../detector/image/network-input.ts';
import type { ProposalScores } from '../../detector/regions/propose-regions.ts';
import { answerInOrder } from '../../workers/answers.ts';

export type DeviceRequest =
  | { readonly type: 'open'; readonly options: DetectorSessionOptions; readonly guard: GuardState }
  | { readonly type: 'backbone'; readonly image: number; readonly input: NetworkInput }
  | { readonly type: 'head'; readonly image: number; readonly rois: Float32Array }
  | { readonly type: 'drop'; readonly image: number }
  | { readonly type: 'close' };

// onnxruntime's calls block their thread, so this one does nothing else. The features of an image stay here, on
// the device, between the two graphs.
let session: DetectorSession | undefined;
let state: GuardState | undefined;
const maps = new Map<number, FeatureMap>();

answerInOrder(async (request: DeviceRequest): Promise<unknown> => {
  if (request.type === 'open') state = request.guard;
  return runGuarded(state!, () => handle(request));
});

async function handle(request: DeviceRequest): Promise<unknown> {
  switch (request.type) {
    case 'open':
      checkRunning(request.guard);
      session = await DetectorSession.open({ ...request.options, guard: request.guard });
      return undefined;
    case 'backbone':
      checkRunning(state!);
      return runBackbone(session!, request.image, request.input);
    case 'head': {
      const map = maps.get(request.image)!;
      maps.delete(request.image);
      return (await session!.runHead(map, request.rois)) satisfies HeadOutput;
    }
    case 'drop':
      maps.delete(request.image);
      return undefined;
    case 'close':
      return session?.close();
  }
}

async function runBackbone(
  detector: DetectorSession,
  image: number,
  input: NetworkInput,
): Promise<ProposalScores> {
  const { map, probabilities, deltas, mapHeight, mapWidth } = await detector.runBackbone(input);
  maps.set(image, map);
  return { probabilities, deltas, mapHeight, mapWidth };
}
