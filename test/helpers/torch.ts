import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import sharp from 'sharp';
import { pythonEnvironment } from '../../pipeline/python/find-python.ts';
import { makeTempFolder } from './temp.ts';

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
/** The Python with PyTorch, whether or not it exists. */
export const TORCH_PYTHON = process.env['TORCH_PYTHON'] ?? join(cache, 'lxmert-data-ci/torch/bin/python');

/** Whether that Python has what the detector needs. */
export function hasTorch(): boolean {
  const options = { env: pythonEnvironment() };
  return spawnSync(TORCH_PYTHON, ['-c', 'import torch, numpy, PIL'], options).status === 0;
}

/** Wide pictures, which are little work for the network. */
export async function paintWideImages(t: ExecutionContext, count: number): Promise<string> {
  const folder = await makeTempFolder(t);
  for (let index = 0; index < count; index++) {
    const size = { width: 400, height: 40 + 2 * index };
    const pixels = Buffer.alloc(3 * size.width * size.height);
    for (let i = 0; i < pixels.length; i++) pixels[i] = (i * (index + 3) + (i >> 7) * 31) % 256;
    await sharp(pixels, { raw: { ...size, channels: 3 } }).toFile(join(folder, `wide_${index}.png`));
  }
  return folder;
}
