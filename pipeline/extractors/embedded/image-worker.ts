import { LxmertDataError } from '../../errors.ts';
import type { BoxRow } from './box-row.ts';
import { BOXES_PER_IMAGE, chooseRegions, findBestClasses, rateRegions, scaleRegions } from './choose-boxes.ts';
import { decodeImage } from './decode-image.ts';
import type { HeadOutput } from './detector-session.ts';
import { ATTRIBUTE_CLASSES, FEATURE_SIZE, OBJECT_CLASSES } from './network.ts';
import type { NetworkInput } from './network-input.ts';
import { checkInputSize, makeNetworkInput } from './network-input.ts';
import type { InputSize, ProposalScores } from './propose-regions.ts';
import { proposeRegions } from './propose-regions.ts';
import { answerCalls } from './worker-calls.ts';

export interface PreparedImage extends NetworkInput {
  readonly imageHeight: number;
  readonly imageWidth: number;
}
