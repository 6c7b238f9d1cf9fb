import { type Box, boxAt } from '../rows/row-shape.ts';
import { sharp } from '../detector/image/sharp.ts';
import { basename } from 'node:path';
import type { ClassNames, ImageData } from '../inspection/findings.ts';

export interface SheetImage {
  readonly data: ImageData;
  readonly jpeg: Buffer | undefined;
}

/** The store that the sheet is of. */
export interface SheetOptions {
  readonly path: string;
  /** Images of the whole store. */
  readonly rows: number;
  readonly names: ClassNames;
}

export interface ContactSheet {
  readonly png: Buffer;
  /** False where the machine has no font to letter it with. */
  readonly lettered: boolean;
}

/** Pixels. */
const CELL = { width: 320, height: 240 } as const;
const GAP = 16;
const CAPTION = 26;
const TITLE = 44;
const MAX_COLUMNS = 6;
const LABEL = { height: 15, size: 11, perCharacter: 7.4, most: 7 } as const;
const FONT = 'Inter, Helvetica Neue, Arial, DejaVu Sans, Liberation Sans, Noto Sans, sans-serif';

/** Draws images with their boxes on one picture. */
export async function drawContactSheet(
  images: readonly SheetImage[],
  options: SheetOptions,
): Promise<ContactSheet> {
  const lettered = await canLetter();
  const columns = Math.min(MAX_COLUMNS, Math.max(1, Math.ceil(Math.sqrt(images.length))));
  const rows = Math.ceil(images.length / columns);
  const width = columns * (CELL.width + GAP) + GAP;
  const height = TITLE + rows * (CELL.height + CAPTION + GAP) + GAP / 2;
  const layers = await Promise.all(
    images.map(async (image, index) => ({
      input: await drawCell(image, options, lettered),
      left: GAP + (index % columns) * (CELL.width + GAP),
      top: TITLE + Math.floor(index / columns) * (CELL.height + CAPTION + GAP),
    })),
  );
  const title = lettered
    ? drawText(`${basename(options.path)}: ${images.length} of ${options.rows} images`, {
        x: GAP,
        y: 29,
        size: 17,
        colour: '#1b1f27',
        bold: true,
      })
    : '';
  const heading = Buffer.from(wrapSvg(width, TITLE, title));
  const ground = sharp({ create: { width, height, channels: 3, background: '#f4f4f1' } });
  const png = await ground
    .composite([{ input: heading, left: 0, top: 0 }, ...layers])
    .png({ compressionLevel: 9 })
    .toBuffer();
  return { png, lettered };
}

async function drawCell(
  { data, jpeg }: SheetImage,
  options: SheetOptions,
  lettered: boolean,
): Promise<Buffer> {
  // A damaged store may hold any size.
  const [imageWidth, imageHeight] = [Math.max(1, data.width), Math.max(1, data.height)];
  const scale = Math.min(CELL.width / imageWidth, CELL.height / imageHeight);
  const width = Math.max(1, Math.round(imageWidth * scale));
  const height = Math.max(1, Math.round(imageHeight * scale));
  const place = { left: Math.floor((CELL.width - width) / 2), top: Math.floor((CELL.height - height) / 2) };
  const frame = { width: CELL.width, height: CELL.height + CAPTION, channels: 4 as const };
  const picture =
    jpeg === undefined
      ? Buffer.from(wrapSvg(width, height, '<rect width="100%" height="100%" fill="#9a9da3"/>'))
      : await sharp(jpeg).resize({ width, height, fit: 'fill' }).toBuffer();
  const boxes = Buffer.from(
    wrapSvg(
      width,
      height,
      drawBoxes(data, { width, height }) + (lettered ? drawNames(data, { width, height }, options) : ''),
    ),
  );
  const caption = lettered
    ? drawText(clip(data.id, 46), { x: 0, y: 18, size: 12, colour: '#4a5160', bold: false })
    : '';
  return await sharp({ create: { ...frame, background: '#00000000' } })
    .composite([
      {
        input: Buffer.from(
          wrapSvg(CELL.width, CELL.height, '<rect width="100%" height="100%" rx="6" fill="#e3e3df"/>'),
        ),
        left: 0,
        top: 0,
      },
      { input: picture, ...place },
      { input: boxes, ...place },
      { input: Buffer.from(wrapSvg(CELL.width, CAPTION, caption)), left: 0, top: CELL.height },
    ])
    .png()
    .toBuffer();
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Boxes in pixels of the cell, the least confident first. Values that are not numbers become 0; all are clipped to the picture. */
function cornersOf(data: ImageData, size: Size): (readonly [box: number, corners: Box])[] {
  const [scaleX, scaleY] = [size.width / Math.max(1, data.width), size.height / Math.max(1, data.height)];
  const scaled = Float32Array.from(data.boxes, (value, index) => {
    const pixels = (value ?? 0) * (index % 2 === 0 ? scaleX : scaleY);
    return Number.isFinite(pixels) ? Math.min(Math.max(pixels, -CELL.width), 2 * CELL.width) : 0;
  });
  return Array.from({ length: scaled.length / 4 }, (_, box) => box)
    .sort((a, b) => (data.objectsConf?.[a] ?? 0) - (data.objectsConf?.[b] ?? 0))
    .map(box => [box, boxAt(scaled, box)]);
}

function drawBoxes(data: ImageData, size: Size): string {
  const shapes = cornersOf(data, size).map(([box, [x1, y1, x2, y2]]) => {
    const width = Math.max(0, x2 - x1).toFixed(2);
    const height = Math.max(0, y2 - y1).toFixed(2);
    const rect = `x="${x1.toFixed(2)}" y="${y1.toFixed(2)}" width="${width}" height="${height}" fill="none"`;
    const casing = `<rect ${rect} stroke="#000" stroke-opacity="0.45" stroke-width="2.6"/>`;
    return `${casing}<rect ${rect} stroke="${colourOf(data, box)}" stroke-width="1.4"/>`;
  });
  return shapes.join('');
}

/** Names of the most confident boxes, as far as they do not meet. */
function drawNames(data: ImageData, size: Size, options: SheetOptions): string {
  const taken: { readonly x: number; readonly y: number; readonly width: number }[] = [];
  const labels: string[] = [];
  for (const [box, [x1, y1]] of cornersOf(data, size).reverse()) {
    const id = data.objects?.[box];
    if (id === undefined || taken.length >= LABEL.most) break;
    const name = clip(options.names.objects?.[id] ?? `object ${id}`, 20);
    const width = name.length * LABEL.perCharacter + 8;
    const x = Math.min(Math.max(0, x1), Math.max(0, size.width - width));
    const y = Math.max(0, y1);
    const meets = taken.some(
      other => Math.abs(other.y - y) < LABEL.height && x < other.x + other.width && other.x < x + width,
    );
    if (meets || y + LABEL.height > size.height) continue;
    taken.push({ x, y, width });
    const ground = `x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${LABEL.height}"`;
    labels.push(
      `<rect ${ground} rx="2" fill="${colourOf(data, box)}"/>`,
      drawText(name, { x: x + 4, y: y + 11.5, size: LABEL.size, colour: '#101318', bold: true }),
    );
  }
  return labels.join('');
}

/** The same golden-angle hues as on the page, at a lightness that stands out on photographs. */
function colourOf(data: ImageData, box: number): string {
  const id = data.objects?.[box] ?? box;
  return `hsl(${(Math.abs(id * 137.508) % 360).toFixed(1)} 85% 66%)`;
}

interface TextStyle {
  readonly x: number;
  readonly y: number;
  readonly size: number;
  readonly colour: string;
  readonly bold: boolean;
}

function drawText(text: string, { x, y, size, colour, bold }: TextStyle): string {
  const escaped = text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`);
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-family="${FONT}" font-size="${size}"${bold ? ' font-weight="600"' : ''} fill="${colour}">${escaped}</text>`;
}

function wrapSvg(width: number, height: number, content: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`;
}

function clip(text: string, characters: number): string {
  const all = Array.from(text);
  return all.length <= characters ? text : `${all.slice(0, characters - 1).join('')}…`;
}

/** Without a font every letter is the same empty square. */
async function canLetter(): Promise<boolean> {
  const draw = async (letter: string): Promise<Buffer> => {
    const text = drawText(letter, { x: 2, y: 24, size: 24, colour: '#000', bold: false });
    return await sharp(Buffer.from(wrapSvg(32, 32, text)))
      .raw()
      .toBuffer();
  };
  return !(await draw('W')).equals(await draw('i'));
}
