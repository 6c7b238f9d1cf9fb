import { open } from 'node:fs/promises';
import { checkCaffemodel } from '../detector/model/caffemodel.ts';
import { checkDetectorWeights } from '../detector/model/open-weights.ts';
import { checkFirstBytes, SHAPE_BYTES } from '../net/file-shape.ts';
import { MirrorFault } from '../net/mirror-fault.ts';
import { openRandomAccess } from '../inputs/random-access.ts';
import { readZipDirectory } from '../inputs/zip-directory.ts';

/**
 * Whether a file can be weights of this format. Of the detector's
 * every tensor and shape is looked at; of a caffemodel every layer and shape is looked at; of a PyTorch file in a
 * zip its directory and that there are weights in it; of an older one, which has no directory, how it begins. Throws
 * MirrorFault, or LxmertDataError ERR_INPUT or ERR_ZIP.
 */
export async function checkWeights(path: string, format: 'torch' | 'caffe' | 'detector'): Promise<void> {
  if (format === 'detector') {
    await checkDetectorWeights(path);
    return;
  }
  const begin = await readBegin(path);
  checkFirstBytes(begin, format);
  if (format === 'caffe') await checkCaffemodel(path);
  else if (begin.toString('latin1', 0, 2) === 'PK') await checkTorchZip(path);
}

async function readBegin(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(SHAPE_BYTES), 0, SHAPE_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** `torch.save` writes `NAME/data.pkl`, `NAME/version` and the tensors as `NAME/data/N`. */
async function checkTorchZip(path: string): Promise<void> {
  const access = await openRandomAccess([path]);
  try {
    const { entries } = await readZipDirectory(access);
    const pickle = entries.find(entry => /^[^/]+\/data\.pkl$/.test(entry.path));
    if (pickle === undefined) {
      const names = entries.slice(0, 3).map(entry => entry.path);
      throw new MirrorFault(
        'wrong-content',
        `a zip without PyTorch weights: it has no data.pkl, but ${names.join(', ') || 'nothing'}`,
      );
    }
  } finally {
    await access.close();
  }
}
