import { join } from 'node:path';
import { sharp } from '../detector/image/sharp.ts';
import { seededRandom } from '../rows/synthetic-row.ts';
import { makeFolder } from '../files/make-folder.ts';

const IMAGES = 3;
const WIDTH = 320;
const HEIGHT = 240;

/** Draws a few pictures of coloured shapes, the same on every machine; returns their folder. */
export async function makeDemoImages(folder: string): Promise<string> {
  await makeFolder(folder);
  for (let index = 0; index < IMAGES; index++) {
    const image = sharp(Buffer.from(drawPicture(index))).png();
    await image.toFile(join(folder, `demo_${index + 1}.png`));
  }
  return folder;
}

function drawPicture(seed: number): string {
  const random = seededRandom(seed + 1);
  const colour = (): string => `hsl(${Math.floor(random() * 360)} 70% ${30 + Math.floor(random() * 40)}%)`;
  const shapes = Array.from({ length: 14 }, (_, index) => {
    const [x, y, size] = [random() * WIDTH, random() * HEIGHT, 20 + random() * 70];
    return index % 2 === 0
      ? `<circle cx="${x}" cy="${y}" r="${size / 2}" fill="${colour()}"/>`
      : `<rect x="${x}" y="${y}" width="${size}" height="${size * 0.7}" fill="${colour()}"/>`;
  });
  const ground = `<rect width="100%" height="100%" fill="${colour()}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}">${ground}${shapes.join('')}</svg>`;
}
